import { createHash, randomBytes } from 'node:crypto'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { startRig } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { type Handler, type ModelSource, redirects, sends, sha256, startModelSource } from './model-source.ts'
import { artifact } from './registry/push.ts'
import { startSecretApi } from './secret-api.ts'

const model = addModel()
const weights = randomBytes(300_000)
const files = { 'model.onnx': model, 'weights.bin': weights }
const manifest = Buffer.from(JSON.stringify(artifact(files)))
const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
const manifestPath = `/v2/models/triage/manifests/${digest}`
const blobPath = (bytes: Uint8Array) => `/v2/models/triage/blobs/sha256:${sha256(bytes)}`
const password = 'do-not-leak-me'

/** What a real registry never does, by a server that answers each path as the test says; the rest is right. */
async function rigWith(handlers: Record<string, (source: ModelSource) => Handler>, env: Record<string, string> = {}) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(authority, ['registry.corp.example', 'cdn.elsewhere.example'])
  onTestFinished(() => source.close())
  source.handlers.set(manifestPath, sends(manifest))
  for (const bytes of Object.values(files)) source.handlers.set(blobPath(bytes), sends(bytes))
  for (const [path, handler] of Object.entries(handlers)) source.handlers.set(path, handler(source))
  const api = await startSecretApi(authority, { status: 200, data: { username: 'ada', password } })
  const rig = await startRig({ authority, env: { ...api.env, HANSA_FETCH_RETRY_SECONDS: '30', ...env } })
  const oci = {
    repository: `registry.corp.example:${source.port}/models/triage`,
    digest,
    credentialsSecretName: 'store',
  }
  const body = modelRequest('', files, { source: { oci } })
  await rig.put(body)
  const state = await rig.until(body.uid, 'Verified', 'Failed')
  return { rig, source, state }
}

const endless: Handler = (_request, response) => {
  const more = () => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
    if (!response.destroyed) response.once('drain', more)
  }
  response.writeHead(200)
  more()
}
const silent: Handler = (_request, response) => {
  response.writeHead(200, { 'content-length': weights.length })
  response.write(weights.subarray(0, 10))
}
const asks =
  (challenge: string): Handler =>
  (_request, response) =>
    response.writeHead(401, { 'www-authenticate': challenge }).end()

test('the same server as it should be passes', async () => {
  const { state } = await rigWith({})
  expect(state).toMatchObject({ phase: 'Verified' })
})

test.each<[string, Record<string, (source: ModelSource) => Handler>, object]>([
  [
    'a manifest that never ends',
    { [manifestPath]: () => endless },
    { reason: 'SourceUnreachable', message: expect.stringContaining('larger than') },
  ],
  [
    'another manifest',
    { [manifestPath]: () => sends(Buffer.from('{}')) },
    { reason: 'DigestMismatch', message: expect.stringContaining('manifest') },
  ],
  ['a silent blob', { [blobPath(weights)]: () => silent }, { reason: 'SourceStalled', file: 'weights.bin' }],
  ['a blob that never ends', { [blobPath(weights)]: () => endless }, { reason: 'SizeMismatch', file: 'weights.bin' }],
  [
    'a blob of other bytes',
    { [blobPath(weights)]: () => sends(Buffer.from(weights).fill(0, 0, 10)) },
    { reason: 'DigestMismatch', file: 'weights.bin' },
  ],
  [
    'a blob that moved into the cluster',
    { [blobPath(weights)]: () => redirects('https://169.254.169.254/latest') },
    { reason: 'SourceAddressRefused', file: 'weights.bin' },
  ],
  [
    'a token service inside the cluster',
    { [manifestPath]: () => asks('Bearer realm="https://10.0.0.1/token"') },
    { reason: 'SourceForbidden' },
  ],
  [
    'a token service on the metadata address without TLS',
    { [manifestPath]: () => asks('Bearer realm="http://169.254.169.254/"') },
    { reason: 'SourceAddressRefused' },
  ],
  [
    'a token service that redirects into the cluster',
    {
      [manifestPath]: ({ port }) => asks(`Bearer realm="https://registry.corp.example:${port}/token"`),
      '/token?scope=repository%3Amodels%2Ftriage%3Apull': () => redirects('https://10.0.0.1/'),
    },
    { reason: 'SourceAddressRefused' },
  ],
  [
    'too many requests',
    { [blobPath(weights)]: () => (_request, response) => response.writeHead(429, { 'retry-after': '90' }).end() },
    { reason: 'SourceUnreachable', file: 'weights.bin' },
  ],
])('%s is refused in words', async (_what, handlers, expected) => {
  const { state } = await rigWith(handlers, { HANSA_FETCH_STALL_SECONDS: '1' })
  expect(state).toMatchObject({ phase: 'Failed', ...expected })
  expect(JSON.stringify(state)).not.toContain(password)
})

test('a storage that the registry redirects to gets no credentials, not even when it asks for them', async () => {
  const { source, state } = await rigWith({
    [blobPath(weights)]: ({ port }) => redirects(`https://cdn.elsewhere.example:${port}/stored`),
    '/stored': ({ port }) => asks(`Bearer realm="https://cdn.elsewhere.example:${port}/token"`),
  })
  expect(state).toMatchObject({ reason: 'SourceForbidden', file: 'weights.bin' })
  expect(source.hits.map(({ path }) => path)).not.toContainEqual(expect.stringContaining('/token'))
  for (const { headers } of source.hits) expect(headers.authorization).toBeUndefined()
})
