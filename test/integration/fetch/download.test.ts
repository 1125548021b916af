import { randomBytes } from 'node:crypto'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { operatorUri, startRig, workerUri } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'
import { cuts, type ModelSource, sends, sha256, startModelSource } from './model-source.ts'

const model = addModel()
const weights = randomBytes(300_000)

async function rigWithSource(env: Record<string, string> = {}) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(authority, ['models.example'])
  onTestFinished(() => source.close())
  return { source, rig: await startRig({ authority, env }) }
}

const request = (source: ModelSource, files: Record<string, Uint8Array>, changes: object = {}) =>
  modelRequest(`${source.url()}triage/`, files, changes)

test('a model is fetched, checked, and given to workers of its namespace alone', async () => {
  const { source, rig } = await rigWithSource()
  source.handlers.set('/triage/model.onnx', sends(model))
  source.handlers.set('/triage/weights.bin', sends(weights))
  const body = request(source, { 'model.onnx': model, 'weights.bin': weights })
  const blob = `/v1/blobs/sha256:${sha256(weights)}`
  expect(['Pending', 'Fetching']).toContain((await rig.put(body)).phase)
  const state = await rig.until(body.uid, 'Verified', 'Failed')
  expect(state).toMatchObject({ phase: 'Verified', reason: 'Verified', fetchedBytes: model.length + weights.length })
  const own = await rig.call(workerUri('radiology'), 'GET', blob)
  expect(own.status).toBe(200)
  expect(own.bytes.equals(weights)).toBe(true)
  const range = await rig.call(workerUri('radiology'), 'GET', blob, { headers: { range: 'bytes=299990-' } })
  expect([range.status, range.bytes.equals(weights.subarray(299_990))]).toEqual([206, true])
  const foreign = await rig.call(workerUri('cardiology'), 'GET', blob)
  expect([foreign.status, foreign.json]).toMatchObject([404, { error: { reason: 'BlobNotFound' } }])
  expect((await rig.call(workerUri('radiology'), 'GET', '/v1/models')).status).toBe(403)
  const stranger = 'spiffe://test.hansa/ns/radiology/sa/default'
  expect((await rig.call(stranger, 'GET', blob)).status).toBe(403)
})

test('a download goes on after each cut of the connection from where it was', async () => {
  const { source, rig } = await rigWithSource()
  source.handlers.set('/triage/model.onnx', sends(model))
  source.handlers.set('/triage/weights.bin', cuts(weights, 100_000, 2))
  const body = request(source, { 'model.onnx': model, 'weights.bin': weights })
  await rig.put(body)
  await expect
    .poll(async () => (await rig.until(body.uid, 'Verified', 'Failed')).phase, { timeout: 20_000 })
    .toBe('Verified')
  const ranges = source.hits.filter(({ path }) => path.endsWith('.bin')).map(({ headers }) => headers.range)
  expect(ranges[0]).toBeUndefined()
  expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d{4,}-$/)
  expect(source.hits.at(-1)?.headers['if-range']).toMatch(/^"/)
})

test('a download goes on after a restart of the process', async () => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_RETRY_SECONDS: '2' })
  source.handlers.set('/triage/model.onnx', sends(model))
  source.handlers.set('/triage/weights.bin', cuts(weights, 200_000, 1))
  const body = request(source, { 'model.onnx': model, 'weights.bin': weights })
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({
    reason: 'SourceUnreachable',
    retryAt: expect.any(String),
  })
  await rig.restart()
  await rig.until(body.uid, 'Verified')
  const last = source.hits.filter(({ path }) => path.endsWith('.bin')).at(-1)
  expect(last?.headers.range).toMatch(/^bytes=[1-9]\d+-$/)
  expect(source.hits.filter(({ path }) => path.endsWith('.onnx'))).toHaveLength(1)
})

test('a verified model is served again after a new pod took over the volume, without another download', async () => {
  const { source, rig } = await rigWithSource()
  source.handlers.set('/triage/model.onnx', sends(model))
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  await rig.restart({ HANSA_STATE_DIR: join(rig.dir, 'another-state') })
  await rig.until(body.uid, 'Verified')
  const answer = await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(model)}`)
  expect([answer.status, answer.bytes.equals(model), source.hits.length]).toEqual([200, true, 1])
})

test('when the file changed between two parts, it is fetched anew and a wrong digest is final', async () => {
  const { source, rig } = await rigWithSource()
  const other = randomBytes(weights.length)
  source.handlers.set('/triage/model.onnx', sends(model))
  source.handlers.set('/triage/weights.bin', (incoming, response) => {
    source.handlers.set('/triage/weights.bin', sends(other))
    cuts(weights, 100_000, 1)(incoming, response)
  })
  const body = request(source, { 'model.onnx': model, 'weights.bin': weights })
  await rig.put(body)
  await expect
    .poll(async () => (await rig.until(body.uid, 'Failed')).reason, { timeout: 20_000 })
    .toBe('DigestMismatch')
  const state = await rig.until(body.uid, 'Failed')
  expect(state).toMatchObject({ file: 'weights.bin' })
  expect(state.retryAt).toBeUndefined()
  const blob = await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(model)}`)
  expect(blob.status).toBe(404)
})

test('a silent source is given up in words and tried again', async () => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_STALL_SECONDS: '1', HANSA_FETCH_RETRY_SECONDS: '5' })
  source.handlers.set('/triage/model.onnx', (_request, response) => {
    response.writeHead(200, { 'content-length': model.length })
    response.write(model.subarray(0, 10))
  })
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({
    reason: 'SourceStalled',
    file: 'model.onnx',
    retryAt: expect.any(String),
  })
})

test('a source that never ends is cut at the size of the file', async () => {
  const { source, rig } = await rigWithSource()
  let sent = 0
  source.handlers.set('/triage/model.onnx', (_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
      if (!response.destroyed) response.once('drain', more)
    }
    response.writeHead(200)
    more()
  })
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ reason: 'SizeMismatch', file: 'model.onnx' })
  expect(sent).toBeLessThan(64 * 2 ** 20)
})

test.each([
  [401, 'SourceForbidden'],
  [403, 'SourceForbidden'],
  [404, 'SourceNotFound'],
  [410, 'SourceNotFound'],
  [500, 'SourceUnreachable'],
  [503, 'SourceUnreachable'],
  [204, 'SourceUnreachable'],
])('an answer %i of the source is %s and is tried again', async (status, reason) => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_RETRY_SECONDS: '30' })
  source.handlers.set('/triage/model.onnx', (_request, response) => response.writeHead(status).end())
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ reason, file: 'model.onnx', retryAt: expect.any(String) })
})

test('a certificate of another authority is no source', async () => {
  const stranger = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(stranger, ['models.example'])
  onTestFinished(() => source.close())
  const rig = await startRig({ env: { HANSA_FETCH_RETRY_SECONDS: '30' } })
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ reason: 'SourceUnreachable' })
  expect(source.hits).toEqual([])
})

test('a compressed answer is refused before it is unpacked', async () => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_RETRY_SECONDS: '30' })
  source.handlers.set('/triage/model.onnx', (_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.alloc(10)),
  )
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  expect((await rig.until(body.uid, 'Failed')).message).toContain('compresses')
})

test('a hostile model is refused, stays refused over a restart, and its bytes reach nobody', async () => {
  const { source, rig } = await rigWithSource()
  const page = Buffer.from('<!doctype html>')
  source.handlers.set('/triage/model.onnx', sends(page))
  const body = request(source, { 'model.onnx': page })
  await rig.put(body)
  const refused = { phase: 'Failed', reason: 'NotONNX', file: 'model.onnx' }
  expect(await rig.until(body.uid, 'Failed')).toMatchObject(refused)
  const before = source.hits.length
  await rig.restart()
  expect(await rig.until(body.uid, 'Failed')).toMatchObject(refused)
  expect(source.hits).toHaveLength(before)
  expect((await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(page)}`)).status).toBe(404)
  await rig.put({ ...body, generation: 2 })
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ ...refused, generation: 2 })
})

test('what does not fit into the store is refused in words and other models are not touched', async () => {
  const { source, rig } = await rigWithSource({ HANSA_BLOB_MAX_BYTES: '400000', HANSA_FETCH_RETRY_SECONDS: '30' })
  const other = randomBytes(weights.length)
  source.handlers.set('/triage/model.onnx', sends(model))
  source.handlers.set('/triage/weights.bin', sends(weights))
  const first = request(source, { 'model.onnx': model, 'weights.bin': weights })
  const second = request(
    source,
    { 'model.onnx': model, 'weights.bin': other },
    { uid: 'c0ffee00-0000-4000-8000-000000000002' },
  )
  const third = request(
    source,
    { 'model.onnx': model, 'weights.bin': Buffer.alloc(500_000) },
    { uid: 'c0ffee00-0000-4000-8000-000000000003' },
  )
  await rig.put(first)
  await rig.until(first.uid, 'Verified')
  await rig.put(second)
  expect(await rig.until(second.uid, 'Failed')).toMatchObject({ reason: 'StorageFull', file: 'weights.bin' })
  await rig.put(third)
  const tooLarge = await rig.until(third.uid, 'Failed')
  expect([tooLarge.reason, tooLarge.retryAt]).toEqual(['TooLarge', undefined])
  expect((await rig.until(first.uid, 'Verified', 'Failed')).phase).toBe('Verified')
  expect(source.hits.filter(({ path }) => path.endsWith('.bin'))).toHaveLength(1)
})

test('deleting the last model that names a blob removes it from the disk', async () => {
  const { source, rig } = await rigWithSource()
  source.handlers.set('/triage/model.onnx', sends(model))
  const first = request(source, { 'model.onnx': model })
  const second = { ...first, name: 'copy', uid: 'c0ffee00-0000-4000-8000-000000000002' }
  await rig.put(first)
  await rig.until(first.uid, 'Verified')
  await rig.put(second)
  await rig.until(second.uid, 'Verified')
  expect(source.hits).toHaveLength(1)
  const stored = () => readdir(join(rig.dir, 'blobs', 'sha256'))
  expect((await rig.call(operatorUri, 'DELETE', `/v1/models/${first.uid}`)).status).toBe(204)
  expect(await stored()).toEqual([sha256(model)])
  expect((await rig.call(operatorUri, 'DELETE', `/v1/models/${second.uid}`)).status).toBe(204)
  expect(await stored()).toEqual([])
  expect((await rig.call(operatorUri, 'DELETE', `/v1/models/${second.uid}`)).status).toBe(404)
})

test('knowing a digest is not enough: another namespace must fetch the file from its own source', async () => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_RETRY_SECONDS: '30' })
  source.handlers.set('/triage/model.onnx', sends(model))
  const owner = request(source, { 'model.onnx': model })
  await rig.put(owner)
  await rig.until(owner.uid, 'Verified')
  const thief = request(
    source,
    { 'model.onnx': model },
    {
      namespace: 'cardiology',
      uid: 'c0ffee00-0000-4000-8000-000000000002',
      source: { https: { url: `${source.url()}nothing-there/` } },
    },
  )
  await rig.put(thief)
  expect(await rig.until(thief.uid, 'Failed')).toMatchObject({ reason: 'SourceNotFound' })
  expect((await rig.call(workerUri('cardiology'), 'GET', `/v1/blobs/sha256:${sha256(model)}`)).status).toBe(404)
})

test('a blob that changes on disk is never sent, makes its models fail, and is fetched again', async () => {
  const { source, rig } = await rigWithSource({ HANSA_FETCH_RETRY_SECONDS: '2' })
  source.handlers.set('/triage/model.onnx', sends(model))
  const body = request(source, { 'model.onnx': model })
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  const blob = join(rig.dir, 'blobs', 'sha256', sha256(model))
  const changed = Buffer.from(model)
  changed[changed.length - 1] = 1
  await chmod(blob, 0o600)
  await writeFile(blob, changed)
  const answer = await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(model)}`)
  expect(answer.status).toBe(404)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ reason: 'DigestMismatch', file: 'model.onnx' })
  await rig.until(body.uid, 'Verified')
  const again = await rig.call(workerUri('radiology'), 'GET', `/v1/blobs/sha256:${sha256(model)}`)
  expect(again.bytes.equals(model)).toBe(true)
  expect(source.hits).toHaveLength(2)
})
