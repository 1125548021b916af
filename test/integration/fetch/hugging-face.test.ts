import { randomBytes } from 'node:crypto'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { commit, type FakeHubOptions, startFakeHub } from './fake-hugging-face.ts'
import { startRig } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { cuts, redirects, sha256 } from './model-source.ts'
import { startSecretApi } from './secret-api.ts'

const model = addModel()
const weights = randomBytes(400_000)
const tokenizer = Buffer.from('{"version": "1.0"}')
const files = { 'onnx/model.onnx': model, 'onnx/weights.bin': weights, 'tokenizer.json': tokenizer }
const repository = 'radiology/triage'

type Options = FakeHubOptions & { secret?: Record<string, string>; env?: Record<string, string> }

async function rigWithHub({ secret, env, ...options }: Options = {}) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const hub = await startFakeHub(authority, repository, files, options)
  const api = await startSecretApi(authority, secret === undefined ? { status: 404 } : { status: 200, data: secret })
  const rig = await startRig({ authority, env: { ...api.env, HANSA_FETCH_RETRY_SECONDS: '30', ...env } })
  const source = (changes: object = {}) => ({
    huggingFace: {
      endpoint: hub.endpoint,
      repository,
      revision: commit,
      ...(secret === undefined ? {} : { credentialsSecretName: 'hub' }),
      ...changes,
    },
  })
  const body = (named: Record<string, Uint8Array> = files, changes: object = {}) =>
    modelRequest('', named, { source: source(changes) })
  return { hub, rig, body }
}

test('a commit is fetched, large files from the storage that the hub redirects to', async () => {
  const { hub, rig, body } = await rigWithHub()
  await rig.put(body())
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
  expect(hub.storageHits().map(({ path }) => path)).toEqual(
    expect.arrayContaining([model, weights].map((bytes) => `/lfs/${sha256(bytes)}`)),
  )
})

test('the token goes to the hub and not to its storage', async () => {
  const { hub, rig, body } = await rigWithHub({ token: 'hf_reader', secret: { token: 'hf_reader' } })
  await rig.put(body())
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
  expect(hub.storageHits().length).toBe(2)
  for (const { headers } of hub.storageHits()) expect(headers.authorization).toBeUndefined()
})

test.each<[string, Options, object, object]>([
  [
    'no token for a private repository',
    { token: 'hf_reader' },
    {},
    { reason: 'SourceForbidden', message: expect.stringContaining('private') },
  ],
  [
    'a gated repository',
    { gatedToken: 'hf_new', secret: { token: 'hf_new' } },
    {},
    { reason: 'SourceForbidden', message: expect.stringContaining('gated') },
  ],
  [
    'a commit that is not there',
    {},
    { revision: '0'.repeat(40) },
    { reason: 'SourceNotFound', message: expect.stringContaining('commit') },
  ],
  [
    'a password where a token is wanted',
    { secret: { username: 'ada', password: 'x' } },
    {},
    { reason: 'CredentialsNotGranted', message: expect.stringContaining('token') },
  ],
])('%s is said in words', async (_what, options, changes, expected) => {
  const { rig, body } = await rigWithHub(options)
  await rig.put(body({ 'tokenizer.json': tokenizer, 'onnx/model.onnx': model }, changes))
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ ...expected, retryAt: expect.any(String) })
})

test('a file that the hub announces with another digest or size is refused before its storage is asked', async () => {
  const { hub, rig, body } = await rigWithHub()
  const other = Buffer.from(weights).fill(0, 0, 10)
  const wrong = body({ 'onnx/model.onnx': model, 'onnx/weights.bin': other })
  await rig.put(wrong)
  expect(await rig.until(wrong.uid, 'Failed')).toMatchObject({ reason: 'DigestMismatch', file: 'onnx/weights.bin' })
  const shorter = { ...body({ 'onnx/model.onnx': model, 'onnx/weights.bin': weights.subarray(1) }), generation: 2 }
  await rig.put(shorter)
  expect(await rig.until(wrong.uid, 'Failed')).toMatchObject({ reason: 'SizeMismatch', file: 'onnx/weights.bin' })
  expect(hub.storageHits().filter(({ path }) => path.includes(sha256(weights)))).toEqual([])
})

test('what the storage cuts off goes on from there, through the hub again', async () => {
  const { hub, rig, body } = await rigWithHub({ env: { HANSA_FETCH_RETRY_SECONDS: '0.1' } })
  hub.source.handlers.set(`/lfs/${sha256(weights)}`, cuts(weights, 150_000, 2))
  await rig.put(body())
  await expect
    .poll(async () => (await rig.until(body().uid, 'Verified', 'Failed')).phase, { timeout: 20_000 })
    .toBe('Verified')
  const ranges = hub.storageHits().filter(({ path }) => path.includes(sha256(weights)))
  expect(ranges.map(({ headers }) => headers.range !== undefined)).toEqual([false, true, true])
})

test('a storage that is silent, and one that sends other bytes, are told apart', async () => {
  const { hub, rig, body } = await rigWithHub({ env: { HANSA_FETCH_STALL_SECONDS: '1' } })
  const storage = `/lfs/${sha256(weights)}`
  hub.source.handlers.set(storage, (_request, response) => {
    response.writeHead(200, { 'content-length': weights.length })
    response.write(weights.subarray(0, 10))
  })
  await rig.put(body())
  expect(await rig.until(body().uid, 'Failed')).toMatchObject({ reason: 'SourceStalled', file: 'onnx/weights.bin' })
  hub.source.handlers.set(storage, (_request, response) => response.end(randomBytes(weights.length)))
  await rig.put({ ...body(), generation: 2 })
  expect(await rig.until(body().uid, 'Failed')).toMatchObject({ reason: 'DigestMismatch' })
})

test.each([
  ['an address inside the cluster', 'https://10.0.0.1/secret', 'SourceAddressRefused'],
  ['plain http', 'http://storage.example/x', 'SourceAddressRefused'],
  ['user information', 'https://a:b@storage.example/x', 'SourceAddressRefused'],
])('a redirect to %s is not followed', async (_what, location, reason) => {
  const { hub, rig, body } = await rigWithHub()
  hub.source.handlers.set(`/${repository}/resolve/${commit}/onnx/weights.bin`, redirects(location))
  await rig.put(body())
  expect(await rig.until(body().uid, 'Failed')).toMatchObject({ reason, file: 'onnx/weights.bin' })
})

test('429 is waited out as long as the hub says', async () => {
  const { hub, rig, body } = await rigWithHub()
  hub.source.handlers.set(`/${repository}/resolve/${commit}/tokenizer.json`, (_request, response) =>
    response.writeHead(429, { 'retry-after': '120' }).end(),
  )
  await rig.put(body())
  const { reason, retryAt = '' } = await rig.until(body().uid, 'Failed')
  expect(reason).toBe('SourceUnreachable')
  const seconds = (Date.parse(retryAt) - Date.now()) / 1000
  expect(seconds).toBeGreaterThan(110)
  expect(seconds).toBeLessThanOrEqual(120)
})
