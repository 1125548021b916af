import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AccessKey, accessKeySpecSchema } from '@hansa/operator/api/access-key.ts'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { inferenceService, type Rig, startRig } from './gateway-under-test.ts'

let rig: Rig
const infer = { method: 'POST', body: 'x' } as const
const path = (service: string, namespace = 'apps') => `/${namespace}/${service}/v2/models/${service}/infer`

beforeAll(async () => {
  rig = await startRig({
    services: [inferenceService('digits', 'apps', { access: {} }), inferenceService('chat', 'apps', { access: {} })],
  })
  await rig.addWorker('digits')
  await rig.addWorker('chat')
})
afterAll(() => rig.stop())
beforeEach(async () => {
  rig.cluster.keys = []
  rig.cluster.changed()
})

const text = (letter: string) => `hansa_${'0123456789abcdef'}_${letter.repeat(43)}`

function accessKey(name: string, secret: string, spec: object = {}, namespace = 'apps'): AccessKey {
  const sha256 = createHash('sha256').update(secret).digest('hex')
  return {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'AccessKey',
    metadata: { name, namespace },
    spec: accessKeySpecSchema.parse({ services: ['digits'], secrets: [{ id: '0123456789abcdef', sha256 }], ...spec }),
  }
}

async function holds(...keys: AccessKey[]): Promise<void> {
  rig.cluster.keys = keys
  rig.cluster.changed()
}

const ask = (token: string, service = 'digits', namespace = 'apps') =>
  rig.call(path(service, namespace), { ...infer, token })

test('a key opens the service that it names, and no other', async () => {
  await holds(accessKey('batch', text('a')))
  await expect.poll(async () => (await ask(text('a'))).status).toBe(200)
  expect((await ask(text('a'), 'chat')).status).toBe(403)
  expect((await ask(text('a'), 'not-there')).status).toBe(403)
  const unknown = await ask(text('b'))
  expect(unknown.status).toBe(401)
  expect(unknown.headers['www-authenticate']).toContain('invalid_token')
})

test('an AccessKey of another namespace opens nothing here, even with the same hash', async () => {
  await holds(accessKey('copy', text('c'), {}, 'mallory'), accessKey('real', text('c')))
  await expect.poll(async () => (await ask(text('c'))).status).toBe(200)
  await holds(accessKey('copy', text('c'), {}, 'mallory'))
  await expect.poll(async () => (await ask(text('c'))).status).toBe(403)
})

test('a suspended, an expired and a deleted key are refused at once', async () => {
  const states: [string, AccessKey[]][] = [
    ['suspended', [accessKey('batch', text('d'), { suspend: true })]],
    ['deleted', []],
    [
      'expired',
      [
        accessKey('batch', text('d'), {
          secrets: [
            {
              id: '0123456789abcdef',
              sha256: createHash('sha256').update(text('d')).digest('hex'),
              notAfter: '2020-01-01T00:00:00Z',
            },
          ],
        }),
      ],
    ],
  ]
  for (const [state, keys] of states) {
    await holds(accessKey('batch', text('d')))
    await expect.poll(async () => (await ask(text('d'))).status, { message: state }).toBe(200)
    await holds(...keys)
    await expect.poll(async () => (await ask(text('d'))).status, { message: state }).toBe(401)
  }
})

test('the rate of a key is bounded, the refusal says when to come again, and other keys are not touched', async () => {
  await holds(accessKey('slow', text('e'), { limits: { requestsPerMinute: 12 } }), accessKey('free', text('f')))
  await expect.poll(async () => (await ask(text('f'))).status).toBe(200)
  const statuses: number[] = []
  let last = await ask(text('e'))
  for (let i = 0; i < 4; i += 1) {
    statuses.push(last.status)
    last = await ask(text('e'))
  }
  expect(statuses).toEqual([200, 200, 429, 429])
  expect(last.text).toContain('too many requests a minute with this key')
  expect(Number(last.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect((await ask(text('f'))).status).toBe(200)
  const metrics = await rig.registry.metrics()
  expect(metrics).toContain(
    'hansa_gateway_access_key_requests_total{namespace="apps",access_key="slow",limit="requestsPerMinute"} 3',
  )
})

test('requests at once with a key are bounded', async () => {
  const { Readable } = await import('node:stream')
  await holds(accessKey('narrow', text('g'), { limits: { inFlight: 1 } }))
  await expect.poll(async () => (await ask(text('g'))).status).toBe(200)
  const body = new Readable({ read() {} })
  body.push('begin')
  const long = rig.call(path('digits'), { method: 'POST', body, token: text('g') })
  // Else the next one might come first and take the only place.
  const inFlight = 'hansa_gateway_in_flight{namespace="apps",service="digits"} 1'
  await expect.poll(() => rig.registry.metrics()).toContain(inFlight)
  await expect.poll(async () => (await ask(text('g'))).status).toBe(429)
  body.push(null)
  expect((await long).status).toBe(200)
  await expect.poll(async () => (await ask(text('g'))).status).toBe(200)
})

test('keys outlive a restart without the API server, on disk are hashes, and no log line holds a key', async () => {
  await holds(accessKey('batch', text('h')))
  await expect.poll(async () => (await ask(text('h'))).status).toBe(200)
  const file = join(rig.stateDir, 'access-keys.json')
  await expect.poll(() => readFile(file, 'utf8')).toContain('"name":"batch"')
  expect(await readFile(file, 'utf8')).not.toContain('hhhh')
  rig.cluster.down = true
  await rig.restart()
  expect((await ask(text('h'))).status).toBe(200)
  expect((await ask(text('i'))).status).toBe(401)
  rig.cluster.down = false
  const log = JSON.stringify(rig.logLines)
  expect(log).toContain('accesskey:0123456789abcdef')
  expect(log).not.toMatch(/hhhh|iiii/)
})
