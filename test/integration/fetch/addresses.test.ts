import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { startRig } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { redirects, sends, startModelSource } from './model-source.ts'

const model = addModel()
const files = { 'model.onnx': model }

/** A server inside the cluster that nobody outside should reach, and a fetch whose names resolve as `addresses` says. */
async function inside(options: { env?: Record<string, string>; addresses?: Record<string, string[][]> } = {}) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const secret = await startModelSource(authority, ['secret.example', 'models.example'])
  onTestFinished(() => secret.close())
  secret.handlers.set('/model.onnx', sends(model))
  const lookups: string[] = []
  const left = structuredClone(options.addresses ?? {})
  const rig = await startRig({
    authority,
    env: { HANSA_FETCH_ALLOWED_CIDRS: '', HANSA_FETCH_RETRY_SECONDS: '30', ...options.env },
    lookup: async (name) => {
      lookups.push(name)
      const answers = left[name] ?? []
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? []
      return answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    },
  })
  return { authority, secret, rig, lookups }
}

test.each([
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '0.0.0.0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
])('a source at the address %s is refused without a single packet', async (host) => {
  const { secret, rig, lookups } = await inside()
  const body = modelRequest(`https://${host}:${secret.port}/`, files)
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed', 'Verified')).toMatchObject({ reason: 'SourceAddressRefused' })
  expect([secret.connections(), lookups]).toEqual([0, []])
})

test.each([
  [['127.0.0.1']],
  [['::1']],
  [['::ffff:127.0.0.1']],
  [['10.0.0.5']],
  [['172.31.255.254']],
  [['192.168.1.1']],
  [['169.254.169.254']],
  [['168.63.129.16']],
  [['100.100.100.200']],
  [['224.0.0.1']],
  [['fd00:ec2::254']],
  [['fe80::1']],
  [['ff02::1']],
  [['64:ff9b::a9fe:a9fe']],
  [['203.0.113.7', '127.0.0.1']],
  [['2606:4700::1111', 'fd00::1']],
])('a name that resolves to %j is refused without a single packet', async (addresses) => {
  const { secret, rig, lookups } = await inside({ addresses: { 'models.example': [addresses] } })
  const body = modelRequest(`https://models.example:${secret.port}/`, files)
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed', 'Verified')).toMatchObject({ reason: 'SourceAddressRefused' })
  expect([secret.connections(), lookups]).toEqual([0, ['models.example']])
})

test('a name is resolved once, and the connection goes to the address that was checked', async () => {
  const { authority, secret, rig, lookups } = await inside({
    env: { HANSA_FETCH_ALLOWED_CIDRS: '127.0.0.2/32' },
    addresses: { 'models.example': [['127.0.0.2'], ['127.0.0.1']] },
  })
  const allowed = await startModelSource(authority, ['models.example'], { host: '127.0.0.2', port: secret.port })
  onTestFinished(() => allowed.close())
  allowed.handlers.set('/model.onnx', sends(model))
  const body = modelRequest(`https://models.example:${secret.port}/`, files)
  await rig.put(body)
  expect((await rig.until(body.uid, 'Failed', 'Verified')).phase).toBe('Verified')
  expect([lookups, allowed.hits.length, secret.connections()]).toEqual([['models.example'], 1, 0])
})

test.each([
  ['a name with a private address', (port: number) => `https://secret.example:${port}/model.onnx`],
  ['a private address', (port: number) => `https://127.0.0.1:${port}/model.onnx`],
  ['a backslash for a slash', (port: number) => `https:\\\\127.0.0.1:${port}\\model.onnx`],
  ['the same host by a relative location that is none', (port: number) => `//127.0.0.1:${port}/model.onnx`],
  ['plain http', (port: number) => `http://secret.example:${port}/model.onnx`],
  ['a file', () => 'file:///etc/passwd'],
  ['user information', (port: number) => `https://models.example:pass@secret.example:${port}/`],
])('a redirect to %s is not followed', async (_what, location) => {
  const { authority, secret, rig } = await inside({
    env: { HANSA_FETCH_ALLOWED_CIDRS: '127.0.0.2/32' },
    addresses: { 'models.example': [['127.0.0.2']], 'secret.example': [['127.0.0.1']] },
  })
  const outside = await startModelSource(authority, ['models.example'], { host: '127.0.0.2', port: secret.port })
  onTestFinished(() => outside.close())
  outside.handlers.set('/model.onnx', redirects(location(secret.port)))
  const body = modelRequest(`https://models.example:${secret.port}/`, files)
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed', 'Verified')).toMatchObject({ reason: 'SourceAddressRefused' })
  expect([secret.connections(), outside.hits.length]).toEqual([0, 1])
})

test('redirects between allowed sources are followed, but not in a circle', async () => {
  const { secret, rig } = await inside({
    env: { HANSA_FETCH_ALLOWED_CIDRS: '127.0.0.0/8' },
    addresses: { 'models.example': [['127.0.0.1']] },
  })
  secret.handlers.set('/model.onnx', redirects('/elsewhere/v1', 307))
  secret.handlers.set('/elsewhere/v1', sends(model))
  const body = modelRequest(secret.url('models.example'), files)
  await rig.put(body)
  expect((await rig.until(body.uid, 'Failed', 'Verified')).phase).toBe('Verified')
  secret.handlers.set('/circle/model.onnx', redirects('/circle/model.onnx'))
  const circle = modelRequest(`${secret.url('models.example')}circle/`, files, {
    uid: 'c0ffee00-0000-4000-8000-000000000002',
    namespace: 'cardiology',
  })
  await rig.put(circle)
  expect(await rig.until(circle.uid, 'Failed')).toMatchObject({ reason: 'SourceUnreachable' })
  expect(secret.hits.filter(({ path }) => path.startsWith('/circle/'))).toHaveLength(6)
})
