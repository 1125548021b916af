import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CallOptions, caller, inferenceService, type Rig, startRig } from './gateway-under-test.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startRig({
    services: [
      inferenceService('digits'),
      inferenceService('closed', 'apps', { access: {} }),
      inferenceService('other', 'apps', { access: { serviceAccounts: [{ namespace: 'apps', name: 'somebody' }] } }),
      inferenceService('corp', 'apps', {
        access: { oidc: [{ issuerName: 'corp', subjects: ['alice'], groups: ['ml'] }] },
      }),
    ],
  })
  for (const name of ['digits', 'closed', 'other', 'corp']) await rig.addWorker(name)
})
afterAll(() => rig.stop())

const seconds = () => Math.floor(Date.now() / 1000)

test.each<[string, number, (r: Rig) => Promise<CallOptions>]>([
  ['a listed service account', 200, async () => ({})],
  ['no token', 401, async () => ({ token: null })],
  ['a word instead of a token', 401, async () => ({ token: 'open-sesame' })],
  ['basic authentication', 401, async () => ({ token: null, headers: { authorization: 'Basic YTpi' } })],
  ['an expired token', 401, async (r) => ({ token: await r.token({ exp: seconds() - 60 }) })],
  [
    'a token for the API server',
    401,
    async (r) => ({ token: await r.token({ aud: ['https://kubernetes.default.svc'] }) }),
  ],
  ['a token of another issuer', 401, async (r) => ({ token: await r.token({ iss: 'https://evil.test' }) })],
  ['a token with a broken signature', 401, async (r) => ({ token: `${(await r.token()).slice(0, -6)}AAAAAA` })],
  [
    'another name',
    403,
    async (r) => ({ token: await r.token({ sub: `system:serviceaccount:${caller.namespace}:b` }) }),
  ],
  [
    'the same name elsewhere',
    403,
    async (r) => ({ token: await r.token({ sub: `system:serviceaccount:b:${caller.name}` }) }),
  ],
])('%s: %i', async (_who, status, options) => {
  const answer = await rig.call('/apps/digits/v2/models/digits/infer', {
    method: 'POST',
    body: 'x',
    ...(await options(rig)),
  })
  expect(answer.status).toBe(status)
  if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="hansa"/)
  if (status !== 200) expect(JSON.parse(answer.text)).toHaveProperty('error')
})

test('a service that lists nobody lets nobody in', async () => {
  expect((await rig.call('/apps/closed/v2')).status).toBe(403)
})

test('strangers and the not allowed cannot tell which services exist', async () => {
  const paths = ['/apps/other/v2/models/other', '/apps/closed/v2', '/apps/not-there/v2', '/nowhere/x/v2']
  const comparable = (answer: Awaited<ReturnType<Rig['call']>>) => {
    const { date: _date, 'x-request-id': _id, ...headers } = answer.headers
    return { ...answer, headers }
  }
  const forbidden = await Promise.all(paths.map((path) => rig.call(path)))
  for (const answer of forbidden) expect(comparable(answer)).toEqual(comparable(forbidden[0] ?? answer))
  expect(forbidden[0]?.status).toBe(403)
  const anonymous = await Promise.all([...paths, '/apps/digits/v2'].map((path) => rig.call(path, { token: null })))
  for (const answer of anonymous) expect(comparable(answer)).toEqual(comparable(anonymous[0] ?? answer))
  expect(anonymous[0]?.status).toBe(401)
})

test('a refused upload of a stranger is not read to its end, and the answer still arrives', async () => {
  const { Readable } = await import('node:stream')
  let sent = 0
  const endless = new Readable({
    read() {
      sent += 65_536
      this.push(Buffer.alloc(65_536))
    },
  })
  const answer = await rig
    .call('/apps/digits/v2', { method: 'POST', token: null, body: endless })
    .catch((error: unknown) => error)
  endless.destroy()
  if (!(answer instanceof Error)) expect(answer).toMatchObject({ status: 401 })
  expect(sent).toBeLessThan(64 * 1024 * 1024)
})
