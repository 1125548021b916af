import { randomBytes } from 'node:crypto'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { startCutter } from './cutter.ts'
import { operatorUri, startRig, workerUri } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { sha256 } from './model-source.ts'
import { pushArtifact, pushManifest } from './registry/push.ts'
import { type Authentication, startRegistry, user } from './registry/start-registry.ts'
import { type Secret, startSecretApi } from './secret-api.ts'

const model = addModel()
const weights = randomBytes(600_000)
const files = { 'model.onnx': model, 'data/weights.bin': weights }

type Options = {
  secret?: Record<string, string>
  env?: Record<string, string>
  tokenSeconds?: number
  realmHost?: string
}

async function rigWithRegistry(authentication: Authentication, options: Options = {}) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const registry = await startRegistry(authority, authentication, options)
  const secret: Secret = options.secret === undefined ? { status: 404 } : { status: 200, data: options.secret }
  const api = await startSecretApi(authority, secret)
  const rig = await startRig({ authority, env: { ...api.env, HANSA_FETCH_RETRY_SECONDS: '0.2', ...options.env } })
  const digest = await pushArtifact(registry, 'models/triage', files, authority.caPem)
  const source = (changes: object = {}) => ({
    oci: { repository: registry.repository('models/triage'), digest, ...changes },
  })
  const body = (changes: object = {}, named: Record<string, Uint8Array> = files) =>
    modelRequest('', named, { source: source(changes) })
  return { authority, registry, rig, api, digest, body }
}

test('a model is fetched from a registry that asks nobody, several files at once', async () => {
  const { rig, body } = await rigWithRegistry('none')
  await rig.put(body())
  const state = await rig.until(body().uid, 'Verified', 'Failed')
  expect(state).toMatchObject({ phase: 'Verified', fetchedBytes: model.length + weights.length })
  const blob = await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(weights)}`)
  expect(blob.bytes.equals(weights)).toBe(true)
})

test('a user name and password open a registry with Basic', async () => {
  const { rig, body } = await rigWithRegistry('htpasswd', { secret: user })
  await rig.put(body({ credentialsSecretName: 'store' }))
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
})

test.each([
  ['no credentials', undefined],
  ['a wrong password', { ...user, password: 'wrong' }],
  ['a token where a password is wanted', { token: 'a-token' }],
])('%s for a registry with Basic is SourceForbidden', async (_what, secret) => {
  const { rig, body } = await rigWithRegistry('htpasswd', secret === undefined ? {} : { secret })
  await rig.put(body(secret === undefined ? {} : { credentialsSecretName: 'store' }))
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({
    reason: 'SourceForbidden',
    retryAt: expect.any(String),
  })
})

test.each([
  ['a user name and password', user],
  ['a token', { token: 'a-long-lived-token' }],
])('%s are exchanged for a token to pull from this repository alone', async (_what, secret) => {
  const { rig, registry, body } = await rigWithRegistry('token', { secret })
  await rig.put(body({ credentialsSecretName: 'store' }))
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
  const asked = registry.tokens.map(({ path }) => new URL(path, 'https://x').searchParams)
  expect(asked.length).toBeGreaterThan(0)
  for (const query of asked) {
    expect(query.get('scope')).toBe('repository:models/triage:pull')
    expect(query.get('service')).toBe('registry.example')
  }
})

test('a token that runs out is replaced', async () => {
  const { rig, registry, body } = await rigWithRegistry('token', { secret: user, tokenSeconds: 6 })
  await rig.put(body({ credentialsSecretName: 'store' }, { 'model.onnx': model }))
  await rig.until(body().uid, 'Verified')
  const before = registry.tokens.length
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await rig.put({ ...body({ credentialsSecretName: 'store' }), generation: 2 })
  expect(await rig.until(body().uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
  expect(registry.tokens.length).toBeGreaterThan(before)
})

test('credentials are not shown to a token service that is no neighbour, unless their owner says so', async () => {
  const { rig, registry, body } = await rigWithRegistry('token', { secret: user, realmHost: 'collector.elsewhere' })
  await rig.put(body({ credentialsSecretName: 'store' }))
  const state = await rig.until(body().uid, 'Failed')
  expect(state).toMatchObject({ reason: 'SourceForbidden', message: expect.stringContaining('collector.elsewhere') })
  expect(registry.tokens).toEqual([])
})

test('a download goes on after each cut where it stopped', async () => {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const registry = await startRegistry(authority, 'none')
  const digest = await pushArtifact(registry, 'models/triage', files, authority.caPem)
  const cutter = await startCutter(registry.port)
  onTestFinished(() => cutter.close())
  const rig = await startRig({ authority })
  cutter.cutAfter(250_000, 2)
  const repository = `registry.example:${cutter.port}/models/triage`
  const body = modelRequest(
    '',
    { 'model.onnx': model, 'data/weights.bin': weights },
    { source: { oci: { repository, digest } } },
  )
  await rig.put(body)
  await expect
    .poll(async () => (await rig.until(body.uid, 'Verified', 'Failed')).phase, { timeout: 20_000 })
    .toBe('Verified')
  expect(cutter.cuts()).toBe(2)
  // Both cuts together are less than the file: had it begun anew each time, more would have come.
  expect(cutter.bytes()).toBeLessThan(weights.length + 250_000)
})

test('what is not as the Model says is refused before a byte of it is read', async () => {
  const { rig, body, authority, registry } = await rigWithRegistry('none')
  const other = Buffer.from(weights).fill(0, 0, 10)
  const refused = async (request: ReturnType<typeof body>, expected: object) => {
    await rig.put(request)
    const state = await rig.until(request.uid, 'Verified', 'Failed')
    expect(state).toMatchObject({ phase: 'Failed', ...expected })
    expect(state.retryAt).toBeUndefined()
    await rig.call(operatorUri, 'DELETE', `/v1/models/${request.uid}`)
  }
  const path = 'data/weights.bin'
  await refused(body({}, { ...files, [path]: other }), { reason: 'DigestMismatch', file: path })
  await refused(body({}, { ...files, [path]: weights.subarray(1) }), { reason: 'SizeMismatch', file: path })
  await refused(body({}, { ...files, 'absent.bin': randomBytes(10) }), { reason: 'SourceNotFound', file: 'absent.bin' })
  const packed = await pushArtifact(registry, 'models/triage', files, authority.caPem, {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  })
  await refused(body({ digest: packed }), {
    reason: 'SourceUnsupported',
    message: expect.stringContaining('application/vnd.oci.image.layer.v1.tar+gzip'),
  })
  const indexType = 'application/vnd.oci.image.index.v1+json'
  const index = await pushManifest(
    registry,
    'models/triage',
    { schemaVersion: 2, mediaType: indexType, manifests: [] },
    authority.caPem,
    { mediaType: indexType },
  )
  await refused(body({ digest: index }), { reason: 'SourceUnsupported', message: expect.stringContaining('index') })
})

test('a manifest that is not there is SourceNotFound and is tried again', async () => {
  const { rig, body } = await rigWithRegistry('none')
  await rig.put(body({ digest: `sha256:${'0'.repeat(64)}` }))
  expect(await rig.until(body().uid, 'Failed')).toMatchObject({ reason: 'SourceNotFound', retryAt: expect.any(String) })
})
