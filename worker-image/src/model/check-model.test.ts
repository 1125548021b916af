import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkModel } from './check-model.ts'

const digits = join(import.meta.dirname, '../../../examples/models/digits/v1')

async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-model-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(dir, path), bytes)
  return dir
}

test('a trained model of an exporter passes', async () => {
  const { size } = await stat(join(digits, 'model.onnx'))
  const files = [{ path: 'model.onnx', sizeBytes: size }]
  expect(await checkModel({ dir: digits, files })).toEqual({ onnxFiles: ['model.onnx'], checkedBytes: size })
})

test('a web page under the name of a model is refused with the name of the file', async () => {
  const page = Buffer.from('<!doctype html><title>Sign in</title>')
  const dir = await folder({ 'model.onnx': page })
  await expect(checkModel({ dir, files: [{ path: 'model.onnx', sizeBytes: page.length }] })).rejects.toMatchObject({
    reason: 'NotONNX',
    file: 'model.onnx',
  })
})

test('a check beyond its deadline is a refusal, and the process is gone', async () => {
  const { size } = await stat(join(digits, 'model.onnx'))
  const files = [{ path: 'model.onnx', sizeBytes: size }]
  await expect(checkModel({ dir: digits, files, deadlineMs: 1 })).rejects.toMatchObject({ reason: 'TooLarge' })
})

test('an aborted check stops with the reason of its signal', async () => {
  const { size } = await stat(join(digits, 'model.onnx'))
  const files = [{ path: 'model.onnx', sizeBytes: size }]
  const signal = AbortSignal.timeout(5)
  await expect(checkModel({ dir: digits, files, signal })).rejects.toThrow('aborted due to timeout')
})

test('a file of another size than the Model says is refused before it is decoded', async () => {
  const dir = await folder({ 'model.onnx': Buffer.alloc(3), 'weights.bin': Buffer.alloc(4) })
  const files = [
    { path: 'model.onnx', sizeBytes: 3 },
    { path: 'weights.bin', sizeBytes: 5 },
  ]
  await expect(checkModel({ dir, files })).rejects.toMatchObject({ reason: 'SizeMismatch', file: 'weights.bin' })
})
