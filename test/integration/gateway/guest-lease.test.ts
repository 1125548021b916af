import { readFileSync } from 'node:fs'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import { type GuestLease, guestWorkLabel } from '@hansa/operator/guestlease/lease.ts'
import { leaseAnnotation } from '@hansa/operator/inferenceservice/lease-config.ts'
import { expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig } from './gateway-under-test.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const

function guest(lease?: Partial<GuestLease>): InferenceService {
  const service = inferenceService('digits')
  service.metadata.labels = { [guestWorkLabel]: 'request' }
  const expires = new Date(Date.now() + 600_000).toISOString()
  if (lease !== undefined) {
    service.metadata.annotations = leaseAnnotation({ epoch: 5, renewals: 0, ttlSeconds: 300, expires, ...lease })
  }
  return service
}

function put(rig: Rig, service: InferenceService): void {
  rig.cluster.services = [service]
  rig.cluster.changed()
}

const status = async (rig: Rig, token: string) => (await rig.call(path, { ...post, token })).status

test('a guest is routed from the first lease to its end, also with the API server away and after a restart from disk', async () => {
  const rig = await startRig({ services: [guest({})] })
  try {
    const token = await rig.token()
    await rig.addWorker()
    expect(await status(rig, token)).toBe(200)

    put(rig, guest())
    // What was seen once lasts its time: an annotation that somebody removed ends nothing and extends nothing.
    put(rig, guest({ renewals: 1, ttlSeconds: 3 }))
    const shortened = performance.now()
    await eventually(async () => {
      const [saved] = readFileSync(`${rig.stateDir}/routes.json`, 'utf8').match(/"ttlSeconds":3/) ?? []
      expect(saved).toBeDefined()
    })
    rig.cluster.down = true
    rig.cluster.changed()
    if (performance.now() - shortened < 2000) expect(await status(rig, token)).toBe(200)
    await eventually(async () => expect(await status(rig, token)).toBe(503))
    expect(performance.now() - shortened).toBeGreaterThan(2900)

    rig.cluster.down = false
    put(rig, guest({ renewals: 0 }))
    put(rig, guest({ renewals: 1 }))
    put(rig, guest({ epoch: 4, renewals: 7 }))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await status(rig, token)).toBe(503)
    put(rig, guest({ renewals: 2 }))
    await eventually(async () => expect(await status(rig, token)).toBe(200), 40)

    const expires = new Date(Date.now() + 3000).toISOString()
    put(rig, guest({ renewals: 3, expires }))
    await eventually(async () => {
      const text = readFileSync(`${rig.stateDir}/routes.json`, 'utf8')
      expect(text).toContain('"renewals":3')
    })
    rig.cluster.down = true
    rig.cluster.changed()
    await rig.restart()
    await eventually(async () => expect(await status(rig, token)).toBe(503))
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expires))
    await rig.restart()
    expect(await status(rig, token)).toBe(503)
  } finally {
    await rig.stop()
  }
}, 90_000)

test('a service with the label of guests and no lease has no route, and another of the same name begins anew', async () => {
  const rig = await startRig({ services: [inferenceService('digits')] })
  try {
    const token = await rig.token()
    await rig.addWorker()
    expect(await status(rig, token)).toBe(200)
    put(rig, guest())
    await eventually(async () => expect(await status(rig, token)).toBe(503))
    put(rig, guest({ epoch: 9 }))
    await eventually(async () => expect(await status(rig, token)).toBe(200))
    put(rig, guest({ epoch: 9, expires: new Date(0).toISOString() }))
    await eventually(async () => expect(await status(rig, token)).toBe(503))
    put(rig, inferenceService('digits'))
    await eventually(async () => expect(await status(rig, token)).toBe(200))
  } finally {
    await rig.stop()
  }
})
