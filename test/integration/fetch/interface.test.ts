import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { type FetchRig, operatorUri, startRig, workerUri } from './fetch-rig.ts'
import { modelRequest } from './model-request.ts'

const model = addModel()
const valid = modelRequest('https://models.example/triage/', { 'model.onnx': model })
const [file] = valid.files

const put = (rig: FetchRig, body: unknown, uid = valid.uid) =>
  rig.call(operatorUri, 'PUT', `/v1/models/${uid}`, { body })

/** A fetch whose sources are a folder with `triage/model.onnx`. */
async function withLocalRoot() {
  const root = await mkdtemp(join(tmpdir(), 'hansa-local-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await mkdir(join(root, 'triage'))
  await writeFile(join(root, 'triage', 'model.onnx'), model)
  const rig = await startRig({ env: { HANSA_LOCAL_ROOT: root, HANSA_FETCH_RETRY_SECONDS: '30' } })
  return { root, rig, body: { ...valid, source: { local: { path: 'triage' } } } }
}

test('a body that is not a model is refused in words, and nothing is kept of it', async () => {
  const rig = await startRig()
  const bodies: [unknown, string][] = [
    [{ ...valid, files: [] }, 'files'],
    [{ ...valid, files: [{ ...file, path: '../model.onnx' }] }, 'files.0.path'],
    [{ ...valid, files: [{ ...file, sha256: 'A'.repeat(64) }] }, 'files.0.sha256'],
    [{ ...valid, files: [{ ...file, sizeBytes: 0 }] }, 'files.0.sizeBytes'],
    [{ ...valid, files: [{ ...file, sizeBytes: 1.5 }] }, 'files.0.sizeBytes'],
    [{ ...valid, files: [file, file] }, 'files'],
    [{ ...valid, files: Array.from({ length: 257 }, (_, index) => ({ ...file, path: `f${index}` })) }, 'files'],
    [{ ...valid, namespace: '../kube-system' }, 'namespace'],
    [{ ...valid, namespace: 'Radiology' }, 'namespace'],
    [{ ...valid, uid: 'another' }, 'uid'],
    [{ ...valid, generation: -1 }, 'generation'],
    [{ ...valid, format: 'PICKLE' }, 'format'],
    [{ ...valid, source: {} }, 'source'],
    [{ ...valid, source: { pvc: { claimName: 'x', path: '' } } }, 'source'],
    [{ ...valid, source: { https: { url: 'http://models.example/' } } }, 'source'],
    [{ ...valid, source: { https: { url: 'https://user@models.example/' } } }, 'source'],
    [{ ...valid, source: { https: { url: 'https://models.example/' }, local: { path: 'x' } } }, 'source'],
    [{ ...valid, command: ['sh'] }, 'command'],
    [[], ''],
    [null, ''],
  ]
  for (const [body, words] of bodies) {
    const { status, json } = await put(rig, body)
    expect([status, json]).toMatchObject([
      400,
      { error: { reason: 'Invalid', message: expect.stringContaining(words) } },
    ])
  }
  expect((await rig.call(operatorUri, 'GET', '/v1/models')).json).toEqual({ items: [] })
})

test('a body over a megabyte is refused, and the next call works', async () => {
  const rig = await startRig()
  expect((await put(rig, { ...valid, padding: 'x'.repeat(1_100_000) })).status).toBe(413)
  expect((await rig.call(operatorUri, 'GET', '/v1/models')).status).toBe(200)
})

test('paths and methods that are not in the interface are refused', async () => {
  const rig = await startRig()
  const statuses = []
  for (const path of ['/', '/v1', '/v1/models/', '/v1/models/../../etc', '/v1/blobs/sha256:xyz', '/v1/blobs/..%2f']) {
    statuses.push((await rig.call(operatorUri, 'GET', path)).status)
  }
  expect(statuses).toEqual([404, 404, 404, 404, 404, 404])
  expect((await rig.call(operatorUri, 'DELETE', '/v1/models')).status).toBe(405)
  expect((await rig.call(workerUri('radiology'), 'PUT', `/v1/models/${valid.uid}`, { body: valid })).status).toBe(403)
})

test('a generation may be sent again but not changed, and a higher one replaces', async () => {
  const { rig, body } = await withLocalRoot()
  expect((await put(rig, body)).status).toBe(202)
  await rig.until(body.uid, 'Verified')
  expect((await put(rig, body)).json).toMatchObject({ phase: 'Verified' })
  expect((await put(rig, { ...body, name: 'other' })).status).toBe(409)
  expect((await put(rig, { ...body, generation: 0 })).status).toBe(409)
  expect((await put(rig, { ...body, generation: 2 })).json).toMatchObject({ phase: 'Verified', generation: 2 })
  const missing = { ...body, generation: 3, source: { local: { path: 'nowhere' } } }
  expect((await put(rig, missing)).status).toBe(202)
})

test('a local source is read below its root only', async () => {
  const { root, rig, body } = await withLocalRoot()
  await symlink('/etc', join(root, 'outside'))
  await symlink('model.onnx', join(root, 'triage', 'link.onnx'))
  await rig.put(body)
  expect((await rig.until(body.uid, 'Verified', 'Failed')).phase).toBe('Verified')
  // Of another namespace, or the file that the first one delivered would do.
  const other = { ...body, namespace: 'cardiology' }
  const refused = [
    { ...other, uid: 'link', files: [{ ...file, path: 'link.onnx' }] },
    { ...other, uid: 'folder', source: { local: { path: 'outside' } }, files: [{ ...file, path: 'hostname' }] },
  ]
  for (const request of refused) {
    await rig.put(request)
    expect(await rig.until(request.uid, 'Failed')).toMatchObject({ reason: 'UnsafePath', file: request.files[0]?.path })
  }
})

test('without a local root a local source is disabled', async () => {
  const rig = await startRig({ env: { HANSA_FETCH_RETRY_SECONDS: '30' } })
  const body = { ...valid, source: { local: { path: 'triage' } } }
  await rig.put(body)
  expect(await rig.until(body.uid, 'Failed')).toMatchObject({ reason: 'LocalSourceDisabled' })
})

test('metrics count models, bytes and failures, with constants for labels', async () => {
  const { rig, body } = await withLocalRoot()
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  const missing = { ...body, namespace: 'cardiology', uid: 'missing', files: [{ ...file, path: 'missing.onnx' }] }
  await rig.put(missing)
  await rig.until(missing.uid, 'Failed')
  const text = await (await fetch(`${rig.fetch().probesUrl}/metrics`)).text()
  expect(text).toContain('hansa_fetch_models{phase="Verified"} 1')
  expect(text).toContain('hansa_fetch_failures_total{reason="SourceNotFound"} 1')
  expect(text).toContain(`hansa_fetch_bytes_total{source="local"} ${model.length}`)
  for (const word of [body.uid, 'radiology', 'triage', 'missing.onnx']) expect(text).not.toContain(word)
})

test('files that were judged in a namespace are Verified in the answer itself, those of another are decoded anew', async () => {
  const { rig, body } = await withLocalRoot()
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  const decoded = async () => {
    const text = await (await fetch(`${rig.fetch().probesUrl}/metrics`)).text()
    return Number(/^hansa_fetch_check_seconds_count (\d+)$/m.exec(text)?.[1])
  }
  expect(await decoded()).toBe(1)
  const again = { ...body, uid: 'again', name: 'again' }
  expect(await rig.put(again)).toMatchObject({ phase: 'Verified' })
  expect(await decoded()).toBe(1)
  const elsewhere = { ...body, uid: 'elsewhere', namespace: 'cardiology' }
  await rig.put(elsewhere)
  await rig.until('elsewhere', 'Verified')
  expect(await decoded()).toBe(2)
})
