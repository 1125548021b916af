import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryIo } from '@hansa/operator/cli/memory-io.ts'
import { runProgram } from '@hansa/operator/cli/run-program.ts'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { commit, type FakeHubOptions, startFakeHub } from '../fetch/fake-hugging-face.ts'
import { sha256 } from '../fetch/model-source.ts'
import { pushArtifact, pushManifest } from '../fetch/registry/push.ts'
import { type Authentication, type Registry, startRegistry, user } from '../fetch/registry/start-registry.ts'

const files = {
  'config.json': Buffer.from('{"model_type": "bert"}'),
  'onnx/model.onnx': randomBytes(50_000),
  'onnx/model.onnx_data': randomBytes(80_000),
  'onnx/model_fp16.onnx': randomBytes(30_000),
  'pytorch_model.bin': randomBytes(10_000),
  'tokenizer.json': Buffer.from('{"version": "1.0"}'),
  'vocab/config.json': Buffer.from('{}'),
}
const asFile = (path: keyof typeof files) => ({ path, sha256: sha256(files[path]), sizeBytes: files[path].length })

async function setUp() {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-cli-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  await writeFile(join(folder, 'ca.pem'), authority.caPem)
  await writeFile(join(folder, 'token'), 'hf_reader\n')
  await writeFile(join(folder, 'password'), `${user.password}\n`)
  async function add(...args: string[]) {
    const io = memoryIo()
    const code = await runProgram(['model', 'add', ...args, '--ca-file', join(folder, 'ca.pem')], {
      io,
      connect: () => Promise.reject(new Error('model add needs no cluster')),
      version: '0',
      signal: AbortSignal.timeout(30_000),
    })
    return { code, output: io.output(), errors: io.errors() }
  }
  return { authority, folder, add }
}

async function withRegistry(authentication: Authentication) {
  const all = await setUp()
  const options = authentication === 'token' ? { realmHost: 'localhost' } : {}
  const registry: Registry = await startRegistry(all.authority, authentication, options)
  const digest = await pushArtifact(registry, 'models/triage', files, all.authority.caPem, { tag: 'v3' })
  return { ...all, registry, digest, repository: `localhost:${registry.port}/models/triage` }
}

async function withHub(options: FakeHubOptions = {}) {
  const all = await setUp()
  const repository = 'radiology/triage'
  const hub = await startFakeHub(all.authority, repository, files, {
    hub: 'localhost',
    storage: '127.0.0.1',
    ...options,
  })
  const add = (...args: string[]) => all.add(...args, '--endpoint', hub.endpoint)
  return { ...all, hub, add, repository }
}

test('a tag of a registry becomes a Model with the digest of the manifest, and no layer is downloaded', async () => {
  const { add, repository, digest } = await withRegistry('none')
  const args = [
    '--include',
    '*.onnx',
    '*.json',
    '--exclude',
    '*_fp16.onnx',
    '/vocab/**',
    '--credentials-secret',
    'store',
  ]
  const { code, output, errors } = await add(`oci://${repository}:v3`, ...args)
  expect({ code, failed: errors.includes('error:') }).toEqual({ code: 0, failed: false })
  expect(parse(output)).toEqual({
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'triage-v3' },
    spec: {
      format: 'ONNX',
      source: { oci: { repository, digest, credentialsSecretName: 'store' } },
      files: [asFile('config.json'), asFile('onnx/model.onnx'), asFile('tokenizer.json')],
    },
  })
  const again = await add(`oci://${repository}@${digest}`, '--entrypoint', 'onnx/model.onnx')
  expect(parse(again.output).spec.files).toHaveLength(Object.keys(files).length)
})

test.each<[Authentication]>([
  ['htpasswd'],
  ['token'],
])('user name and password open a registry with %s', async (kind) => {
  const { add, repository, folder } = await withRegistry(kind)
  const reference = [`oci://${repository}:v3`, '--entrypoint', 'onnx/model.onnx']
  const without = await add(...reference)
  expect({ code: without.code, output: without.output }).toEqual({ code: 5, output: '' })
  const { code, errors } = await add(
    ...reference,
    '--username',
    user.username,
    '--password-file',
    join(folder, 'password'),
  )
  expect({ code, failed: errors.includes('error:') }).toEqual({ code: 0, failed: false })
  const wrong = await add(...reference, '--username', user.username, '--password-file', join(folder, 'token'))
  expect(wrong.code).toBe(5)
})

test('what is no artifact of plain files is refused with what to do', async () => {
  const { add, repository, registry, authority } = await withRegistry('none')
  const push = (manifest: object, tag: string, mediaType: string) =>
    pushManifest(registry, 'models/triage', manifest, authority.caPem, { tag, mediaType })
  const indexType = 'application/vnd.oci.image.index.v1+json'
  await push({ schemaVersion: 2, mediaType: indexType, manifests: [] }, 'index', indexType)
  await pushArtifact(registry, 'models/triage', files, authority.caPem, {
    tag: 'packed',
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  })
  const refused = async (words: string[], ...args: string[]) => {
    const { code, output, errors } = await add(...args)
    expect({ args, code, output }).toEqual({ args, code: 5, output: '' })
    for (const word of words) expect(errors).toContain(word)
  }
  await refused(['index of several manifests', 'oras push'], `oci://${repository}:index`)
  await refused(['is packed', 'tar+gzip', 'oras push'], `oci://${repository}:packed`)
  await refused(['there is no such artifact (404)', 'Check repository and tag'], `oci://${repository}:v4`)
  await refused(['no title fits', 'onnx/model.onnx'], `oci://${repository}:v3`, '--include', 'nothing')
})

test('a branch of a hub becomes a Model with its commit and the files that ONNX needs', async () => {
  const { add, hub, repository } = await withHub({ pageSize: 2 })
  const { code, output } = await add(`hf://${repository}`, '--entrypoint', 'onnx/model.onnx', '--licence', 'MIT')
  expect(code).toBe(0)
  expect(parse(output)).toEqual({
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'triage' },
    spec: {
      format: 'ONNX',
      source: { huggingFace: { endpoint: hub.endpoint, repository, revision: commit } },
      files: [
        asFile('config.json'),
        asFile('onnx/model.onnx'),
        asFile('onnx/model.onnx_data'),
        asFile('tokenizer.json'),
      ],
      entrypoint: 'onnx/model.onnx',
      licence: 'MIT',
    },
  })
  // Large files' digests are in the hub's list.
  expect(hub.storageHits()).toEqual([])
})

test('a file without a digest in the list is downloaded to compute it, wherever the hub redirects', async () => {
  const { add, repository, hub, folder } = await withHub({ isLarge: () => false, token: 'hf_reader' })
  const { code, output } = await add(
    `hf://${repository}@v1.0`,
    '--include',
    '/onnx/model.onnx',
    '--token-file',
    join(folder, 'token'),
  )
  expect(code).toBe(0)
  expect(parse(output).spec.files).toEqual([asFile('onnx/model.onnx')])
  expect(hub.source.hits.at(-1)?.path).toBe(`/${repository}/resolve/${commit}/onnx/model.onnx`)
})

test.each([
  [2, 'Choose one, such as --entrypoint onnx/model.onnx', []],
  [5, 'has no file onnx/other.onnx', ['--entrypoint', 'onnx/other.onnx']],
  [5, 'no file fits', ['--include', 'nothing']],
  [2, '--file does not go with hf://', ['--file', 'a']],
  [2, '--local-path does not go with a URL', ['--local-path', 'a']],
])('a hub with several models ends with %i: %s', async (expected, words, args) => {
  const { add, repository } = await withHub()
  const { code, output, errors } = await add(`hf://${repository}`, ...args)
  expect({ code, output }).toEqual({ code: expected, output: '' })
  expect(errors).toContain(words)
})

test('a private repository, a missing branch and a wrong endpoint are said in words', async () => {
  const { add, repository, authority, folder } = await withHub({ token: 'hf_reader' })
  const refused = async (words: string, ...args: string[]) => {
    const { code, errors } = await add(...args)
    expect({ args, code }).toEqual({ args, code: 5 })
    expect(errors).toContain(words)
  }
  await refused('needs --token-file', `hf://${repository}`)
  await refused('the hub answers 404', `hf://${repository}@v9`, '--token-file', join(folder, 'token'))
  const other = await startFakeHub(authority, repository, files, { hub: 'localhost', storage: '127.0.0.1' })
  other.source.fallback = (_request, response) => response.end('<html>')
  const setup = await setUp()
  await writeFile(join(setup.folder, 'ca.pem'), authority.caPem)
  const { code, errors } = await setup.add(`hf://${repository}`, '--endpoint', other.endpoint)
  expect(code).toBe(5)
  expect(errors).toContain('Check --endpoint')
})
