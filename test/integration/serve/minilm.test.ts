import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { miniLmFolder } from '../../builders/minilm.ts'
import { embed, listOf, vectorsOf } from './embeddings-client.ts'
import reference from './minilm-reference.json' with { type: 'json' }
import { startWorker, type TestWorker } from './worker.ts'

/**
 * The real model. The expected vectors were made by PyTorch and the `tokenizers` library (see `provenance` in the file) by
 * worker-image/export/embed_reference.py; the promise `embedding-parity` makes them anew and compares much more.
 */
let worker: TestWorker
beforeAll(async () => {
  const folder = await miniLmFolder()
  const [model, tokenizer] = await Promise.all(
    ['model.onnx', 'tokenizer.json'].map((name) => readFile(join(folder, name))),
  )
  if (model === undefined || tokenizer === undefined) throw new Error('MiniLM is incomplete')
  worker = await startWorker(model, { embedding: { tokenizer, settings: { maxTokens: 256 } } })
})
afterAll(() => worker?.close())

test('MiniLM gives the vectors that PyTorch gives, all texts at once and each alone', async () => {
  const input = reference.texts.map((one) => one.text)
  const together = vectorsOf(await embed(worker.url, { input, encoding_format: 'base64' }))
  for (const [index, { text, vector }] of reference.texts.entries()) {
    const [alone] = vectorsOf(await embed(worker.url, { input: text, encoding_format: 'base64' }))
    expect(largestDifference(together[index], vector)).toBeLessThan(1e-5)
    expect(largestDifference(alone, vector)).toBeLessThan(1e-5)
  }
})

test('it counts the tokens that the reference tokenizer counts, and the ids give the same vectors', async () => {
  for (const { text, ids, vector } of reference.texts) {
    expect(listOf(await embed(worker.url, { input: text })).usage.prompt_tokens).toBe(ids.length)
    const [fromIds] = vectorsOf(await embed(worker.url, { input: ids }))
    expect(largestDifference(fromIds, vector)).toBeLessThan(1e-5)
  }
})

test('it puts texts of like meaning close together', async () => {
  const [cat, kitten, market] = vectorsOf(
    await embed(worker.url, { input: reference.texts.slice(0, 3).map((one) => one.text) }),
  )
  expect(dot(cat, kitten)).toBeGreaterThan(0.5)
  expect(dot(cat, market)).toBeLessThan(0.2)
})

function largestDifference(a: readonly number[] | undefined, b: readonly number[]): number {
  if (a?.length !== b.length) return Number.POSITIVE_INFINITY
  return Math.max(...a.map((value, at) => Math.abs(value - (b[at] ?? 0))))
}

function dot(a: readonly number[] = [], b: readonly number[] = []): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
}
