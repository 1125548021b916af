import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { runPull } from '@hansa/worker/pull/run-pull.ts'
import { pullSettings } from '@hansa/worker/pull/settings.ts'
import { runVerify } from '@hansa/worker/verify/run-verify.ts'
import { verifySettings } from '@hansa/worker/verify/settings.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { type FetchRig, fetchUri, startRig, workerUri } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { sends, startModelSource } from './model-source.ts'

const model = addModel()
const weights = randomBytes(3_000_000)
const files = { 'model.onnx': model, 'data/weights.bin': weights }
const log = createLogger('pull', 'silent')

async function pull(rig: FetchRig, env: Record<string, string>, uri = workerUri('radiology')) {
  const dir = join(rig.dir, 'model')
  await mkdir(dir, { recursive: true })
  const settings = pullSettings({
    HANSA_MODEL_DIR: dir,
    HANSA_TERMINATION_LOG: join(rig.dir, 'termination'),
    HANSA_FETCH_URL: rig.fetch().url,
    HANSA_FETCH_URI: fetchUri,
    HANSA_PULL_TIMEOUT_SECONDS: '20',
    ...env,
  })
  const identity = await memoryIdentity(rig.authority, uri)
  const code = await runPull(settings, { log, signal: new AbortController().signal, identity })
  const report: unknown = code === 0 ? undefined : JSON.parse(await readFile(join(rig.dir, 'termination'), 'utf8'))
  return { code, report, dir }
}

async function verifiedModel() {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(authority, ['models.example'])
  onTestFinished(() => source.close())
  for (const [path, bytes] of Object.entries(files)) source.handlers.set(`/${path}`, sends(bytes))
  const rig = await startRig({ authority })
  const body = modelRequest(source.url(), files)
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  return { rig, body }
}

test('a worker gets the files of its model by their digests', async () => {
  const { rig, body } = await verifiedModel()
  const { code, dir } = await pull(rig, { HANSA_MODEL: JSON.stringify(body) })
  expect(code).toBe(0)
  expect((await readFile(join(dir, 'data/weights.bin'))).equals(weights)).toBe(true)
  expect((await readdir(dir, { recursive: true })).sort()).toEqual(['data', 'data/weights.bin', 'model.onnx'])
})

test('a worker waits for a model that is not verified yet, until its time is over', async () => {
  const { rig, body } = await verifiedModel()
  const foreign = workerUri('cardiology')
  const { code, report } = await pull(
    rig,
    { HANSA_MODEL: JSON.stringify(body), HANSA_PULL_TIMEOUT_SECONDS: '2' },
    foreign,
  )
  expect([code, report]).toMatchObject([2, { reason: 'BlobNotFound' }])
})

test('a worker survives a restart of fetch', async () => {
  const { rig, body } = await verifiedModel()
  const { url } = rig.fetch()
  const port = new URL(url).port
  const pulling = pull(rig, { HANSA_MODEL: JSON.stringify(body), HANSA_FETCH_URL: url })
  await rig.restart({ HANSA_FETCH_PORT: port })
  expect((await pulling).code).toBe(0)
})

async function claim(contents: Record<string, Uint8Array>): Promise<{ rig: FetchRig; dir: string }> {
  const rig = await startRig()
  const dir = join(rig.dir, 'claim')
  await mkdir(join(dir, 'data'), { recursive: true })
  for (const [path, bytes] of Object.entries(contents)) await writeFile(join(dir, path), bytes)
  return { rig, dir }
}

async function verify(rig: FetchRig, dir: string, body: object) {
  const settings = verifySettings({
    HANSA_MODEL: JSON.stringify(body),
    HANSA_SOURCE_DIR: dir,
    HANSA_TERMINATION_LOG: join(rig.dir, 'termination'),
  })
  const code = await runVerify(settings, { log, signal: new AbortController().signal })
  const report: unknown = JSON.parse(await readFile(join(rig.dir, 'termination'), 'utf8'))
  return { code, report }
}

test('a model on a claim is verified in place and copied with the same checks', async () => {
  const { rig, dir } = await claim(files)
  const body = modelRequest('https://unused.example/', files)
  expect(await verify(rig, dir, body)).toMatchObject({ code: 0, report: { reason: 'Verified' } })
  const pulled = await pull(rig, { HANSA_MODEL: JSON.stringify(body), HANSA_SOURCE_DIR: dir })
  expect(pulled.code).toBe(0)
  expect((await readFile(join(pulled.dir, 'model.onnx'))).equals(model)).toBe(true)
})

const page = Buffer.from('<!doctype html>')
const changed = Buffer.from(weights).fill(0, 0, 10)

test.each([
  ['a changed file', { ...files, 'data/weights.bin': changed }, files, 'DigestMismatch', 'data/weights.bin'],
  [
    'a longer file',
    { ...files, 'data/weights.bin': Buffer.alloc(3_000_001) },
    files,
    'SizeMismatch',
    'data/weights.bin',
  ],
  ['a shorter file', { ...files, 'data/weights.bin': Buffer.alloc(5) }, files, 'SizeMismatch', 'data/weights.bin'],
  ['a missing file', { 'model.onnx': model }, files, 'SourceNotFound', 'data/weights.bin'],
  ['a web page for a model', { 'model.onnx': page }, { 'model.onnx': page }, 'NotONNX', 'model.onnx'],
])('%s on a claim is refused by verify and by pull with the same words', async (_what, there, named, reason, file) => {
  const { rig, dir } = await claim(there as Record<string, Uint8Array>)
  const body = modelRequest('https://unused.example/', named)
  expect(await verify(rig, dir, body)).toMatchObject({ code: 1, report: { reason, file } })
  const pulled = await pull(rig, { HANSA_MODEL: JSON.stringify(body), HANSA_SOURCE_DIR: dir })
  expect(pulled).toMatchObject({ code: 1, report: { reason, file } })
})

test('a link on a claim is refused, wherever it points', async () => {
  const { rig, dir } = await claim({ 'model.onnx': model })
  await writeFile(join(rig.dir, 'secret'), weights)
  await symlink(join(rig.dir, 'secret'), join(dir, 'data/weights.bin'))
  const body = modelRequest('https://unused.example/', files)
  const refused = { code: 1, report: { reason: 'UnsafePath', file: 'data/weights.bin' } }
  expect(await verify(rig, dir, body)).toMatchObject(refused)
  expect(await pull(rig, { HANSA_MODEL: JSON.stringify(body), HANSA_SOURCE_DIR: dir })).toMatchObject(refused)
})

test('a claim that is not mounted may work at the next try', async () => {
  const rig = await startRig()
  const body = modelRequest('https://unused.example/', files)
  const { code, report } = await verify(rig, join(rig.dir, 'not-there'), body)
  expect([code, report]).toMatchObject([2, { reason: 'VolumeUnavailable' }])
})
