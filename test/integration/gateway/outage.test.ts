import { request } from 'undici'
import { expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig, workerPod } from './gateway-under-test.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const

async function readiness(rig: Rig): Promise<string> {
  const { statusCode, body } = await request(`${rig.gateway.probesUrl}/readyz`)
  return `${statusCode} ${await body.text()}`
}

test('with the API server down it keeps serving, restarts, and serves again from disk', async () => {
  const rig = await startRig()
  try {
    const worker = await rig.addWorker()
    const token = await rig.token()
    expect((await rig.call(path, { ...post, token })).status).toBe(200)
    await eventually(async () => expect(await readiness(rig)).toBe('200 ok'))
    rig.cluster.down = true
    rig.cluster.changed()
    expect((await rig.call(path, { ...post, token })).status).toBe(200)
    await rig.restart()
    expect(await readiness(rig)).toBe('200 ok')
    expect((await rig.call(path, { ...post, token })).status).toBe(200)
    // A token that this process has not seen before needs the keys, which come from disk too.
    expect((await rig.call(path, { ...post, token: await rig.token({ jti: 'new' }) })).status).toBe(200)
    expect((await rig.call(path, { ...post, token: null })).status).toBe(401)
    expect(worker.requests).toHaveLength(4)

    const second = await rig.addWorker('digits').catch(() => undefined)
    expect(second).toBeUndefined() // nobody can tell the gateway of it yet
    rig.cluster.down = false
    rig.cluster.changed()
    await eventually(async () => {
      expect(await rig.registry.metrics()).toContain('hansa_gateway_ready_workers{namespace="apps",service="digits"} 2')
    }, 40)
  } finally {
    await rig.stop()
  }
}, 90_000)

test('workers on disk that are gone by now are passed over', async () => {
  const rig = await startRig()
  try {
    const gone = await rig.addWorker()
    await rig.addWorker()
    rig.cluster.down = true
    rig.cluster.changed()
    await gone.kill()
    await rig.restart()
    for (let i = 0; i < 6; i += 1) expect((await rig.call(path, post)).status).toBe(200)
  } finally {
    await rig.stop()
  }
})

test('without routes and keys it is not ready, and says why', async () => {
  const rig = await startRig()
  try {
    rig.cluster.down = true
    await rig.gateway.close()
    rig.settings.stateDir = `${rig.stateDir}/empty`
    await rig.restart()
    expect(await readiness(rig)).toBe('503 routes are not known yet')
    const answer = await rig.call(path, post)
    expect(answer.status).toBe(503)
    expect(answer.text).toContain('keys')
  } finally {
    await rig.stop()
  }
})

test('changes of access and workers take effect within moments', async () => {
  const rig = await startRig()
  try {
    await rig.addWorker()
    expect((await rig.call(path, post)).status).toBe(200)
    rig.cluster.services = [inferenceService('digits', 'apps', { access: {} })]
    rig.cluster.changed()
    await eventually(async () => expect((await rig.call(path, post)).status).toBe(403))
    rig.cluster.services = [inferenceService('digits', 'apps', { suspend: true })]
    rig.cluster.changed()
    await eventually(async () => expect((await rig.call(path, post)).status).toBe(503))
    rig.cluster.services = [inferenceService('digits')]
    rig.cluster.pods = [workerPod('digits', 'apps', rig.cluster.pods[0]?.status?.podIP ?? '', 'r0')]
    rig.cluster.changed()
    await eventually(async () => expect((await rig.call(path, post)).text).toContain('no ready worker'))
  } finally {
    await rig.stop()
  }
})

test('closing finishes what is under way, refuses nothing that was let in, and says so to probes first', async () => {
  const rig = await startRig({ settings: { lameDuckSeconds: 0.6 } })
  try {
    const worker = await rig.addWorker()
    worker.handle = (incoming, response) => {
      incoming.resume()
      setTimeout(() => response.writeHead(200).end('late'), 1500)
    }
    const running = rig.call(path, post)
    await eventually(() => expect(worker.requests).toHaveLength(1))
    const closed = rig.gateway.close()
    expect(await readiness(rig)).toBe('503 shutting down')
    // Still served in the lame duck, on a connection that ends.
    worker.handle = (incoming, response) => {
      incoming.resume()
      response.writeHead(200).end('ok')
    }
    const duck = await rig.call(path, post)
    expect(duck).toMatchObject({ status: 200, text: 'ok' })
    expect(duck.headers.connection).toBe('close')
    expect(await running).toMatchObject({ status: 200, text: 'late' })
    await closed
    await expect(rig.call(path, post)).rejects.toThrow()
  } finally {
    await rig.stop()
  }
})

test('the series of a deleted service disappear from the metrics', async () => {
  const rig = await startRig()
  try {
    await rig.addWorker()
    await rig.call(path, post)
    expect(await rig.registry.metrics()).toContain('service="digits",code="200"')
    rig.cluster.services = []
    rig.cluster.changed()
    await eventually(async () => expect(await rig.registry.metrics()).not.toContain('service="digits"'))
  } finally {
    await rig.stop()
  }
})
