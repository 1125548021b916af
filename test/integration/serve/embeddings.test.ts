import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tinyEmbeddingModel, tinyTokenizer, tokenizerJson, wordPiece } from '../../builders/embedding-model.ts'
import { identityModel } from '../../builders/onnx-model.ts'
import { call } from './client.ts'
import { embed, errorOf, listOf, vectorsOf } from './embeddings-client.ts'
import { startWorker, type TestWorker } from './worker.ts'

describe('an embedding worker', () => {
  let worker: TestWorker
  beforeAll(async () => {
    worker = await startWorker(tinyEmbeddingModel(), {
      embedding: { tokenizer: tinyTokenizer, settings: { maxTokens: 40 } },
    })
  })
  afterAll(() => worker?.close())

  test('answers one text with the normalized mean of its tokens', async () => {
    const answer = await embed(worker.url, { input: 'two three' })
    expect(listOf(answer)).toEqual({
      object: 'list',
      data: [
        { object: 'embedding', index: 0, embedding: [0, expect.closeTo(Math.SQRT1_2), expect.closeTo(Math.SQRT1_2)] },
      ],
      model: 'echo',
      usage: { prompt_tokens: 2, total_tokens: 2 },
    })
    expect(answer.headers.get('content-type')).toBe('application/json')
  })

  test('keeps the order of many texts of different lengths, and pads none of them into the mean', async () => {
    const words = ['one', 'two', 'three', 'four']
    const input = Array.from({ length: 100 }, (_, at) =>
      Array.from({ length: 1 + ((at * 7) % 40) }, () => words[at % 4]).join(' '),
    )
    const answer = await embed(worker.url, { input })
    const axes = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [0.6, 0.8, 0],
    ]
    for (const [at, vector] of vectorsOf(answer).entries()) {
      for (const [axis, value] of vector.entries()) expect(value).toBeCloseTo(axes[at % 4]?.[axis] ?? Number.NaN, 6)
    }
    expect(listOf(answer).data.map((one) => one.index)).toEqual(input.map((_, at) => at))
    expect(listOf(answer).usage.prompt_tokens).toBe(input.reduce((sum, text) => sum + text.split(' ').length, 0))
  })

  test('takes token ids, one array of them or several', async () => {
    const texts = vectorsOf(await embed(worker.url, { input: ['four', 'two three'] }))
    expect(vectorsOf(await embed(worker.url, { input: [[4], [2, 3]] }))).toEqual(texts)
    expect(vectorsOf(await embed(worker.url, { input: [2, 3] }))).toEqual(texts.slice(1))
  })

  test('answers base64 with the same numbers as little-endian float32', async () => {
    const asFloats = vectorsOf(await embed(worker.url, { input: 'four two' }))
    const answer = await embed(worker.url, { input: 'four two', encoding_format: 'base64' })
    expect(typeof listOf(answer).data[0]?.embedding).toBe('string')
    expect(vectorsOf(answer)[0]?.map(Math.fround)).toEqual(asFloats[0]?.map(Math.fround))
  })

  test('shortens vectors to the dimensions asked for, at length 1 again', async () => {
    const [vector] = vectorsOf(await embed(worker.url, { input: 'four three', dimensions: 2 }))
    expect(vector).toEqual([expect.closeTo(0.6), expect.closeTo(0.8)])
    const refused = await embed(worker.url, { input: 'four', dimensions: 4 })
    expect([refused.status, errorOf(refused).message]).toEqual([400, "dimensions must be at most the model's 3"])
  })

  test.each<[string, object, RegExp]>([
    ['no input', {}, /^input must be a text/],
    ['an empty array', { input: [] }, /^input must be a text/],
    ['an empty text', { input: '' }, /^input must not be empty/],
    ['an empty text among others', { input: ['two', ''] }, /^input\[1\] must not be empty/],
    ['an object', { input: { text: 'two' } }, /^input must be a text/],
    ['texts and ids mixed', { input: ['two', [2]] }, /mixes texts and token ids/],
    ['nested texts', { input: [['two']] }, /token ids must be whole numbers from 0 to 5/],
    ['a token id that the vocabulary lacks', { input: [6] }, /whole numbers from 0 to 5/],
    ['a negative token id', { input: [[2], [-1]] }, /input\[1\]: token ids must be/],
    ['a fraction as token id', { input: [1.5] }, /whole numbers/],
    ['a text that is too long', { input: ['two', 'two '.repeat(41)] }, /input\[1\] has 41 tokens; .* at most 40/],
    ['too many token ids', { input: Array.from({ length: 41 }, () => 2) }, /input has 41 tokens/],
    ['too many texts', { input: Array.from({ length: 2049 }, () => 'two') }, /at most 2048/],
    ['too many characters', { input: 'x'.repeat(70_000) }, /70000 characters; at most 65536/],
    ['an unknown encoding', { input: 'two', encoding_format: 'int8' }, /^encoding_format: /],
    ['no dimensions', { input: 'two', dimensions: 0 }, /^dimensions: /],
    ['whitespace alone', { input: '  ' }, /input has no tokens/],
  ])('refuses %s', async (_what, body, message) => {
    const refused = await embed(worker.url, body)
    expect(errorOf(refused)).toEqual({
      message: expect.stringMatching(message),
      type: 'invalid_request_error',
      code: null,
      param: null,
    })
    expect(refused.status).toBe(400)
  })

  test('refuses another model, a body that is no JSON, one that is too large, and other paths, in the form of OpenAI', async () => {
    const other = await call(worker.url, '/v1/embeddings', { body: JSON.stringify({ model: 'other', input: 'two' }) })
    expect([other.status, errorOf(other).code]).toEqual([404, 'not_found'])
    const broken = await call(worker.url, '/v1/embeddings', { body: '{"input": "secret' })
    expect([broken.status, errorOf(broken).message]).toEqual([400, 'the body is not JSON in UTF-8'])
    const large = await embed(worker.url, { input: 'x'.repeat(5 << 20) })
    expect([large.status, errorOf(large).code]).toEqual([413, 'request_too_large'])
    const chat = await call(worker.url, '/v1/chat/completions', { body: '{}' })
    expect([chat.status, errorOf(chat).message]).toEqual([404, expect.stringContaining('chat is not offered')])
    const method = await call(worker.url, '/v1/embeddings')
    expect([method.status, errorOf(method).type]).toEqual([405, 'invalid_request_error'])
  })

  test('lists its model', async () => {
    const model = { id: 'echo', object: 'model', created: 0, owned_by: 'hansa' }
    expect((await call(worker.url, '/v1/models')).json).toEqual({ object: 'list', data: [model] })
    expect((await call(worker.url, '/v1/models/echo')).json).toEqual(model)
    expect((await call(worker.url, '/v1/models/other')).status).toBe(404)
  })

  test('keeps the deadline of a request', async () => {
    const late = await embed(worker.url, { input: 'two' }, { headers: { 'x-hansa-timeout-ms': '0' } })
    expect([late.status, errorOf(late).code]).toEqual([504, 'timeout'])
  })

  test('counts texts and tokens', async () => {
    const value = async (name: string) =>
      (await worker.registry.getSingleMetric(name)?.get())?.values.find((one) => one.labels.model === 'echo')?.value ??
      0
    const before = [await value('hansa_worker_embedded_texts_total'), await value('hansa_worker_embedded_tokens_total')]
    await embed(worker.url, { input: ['two three', 'four'] })
    expect([
      await value('hansa_worker_embedded_texts_total'),
      await value('hansa_worker_embedded_tokens_total'),
    ]).toEqual([(before[0] ?? 0) + 2, (before[1] ?? 0) + 3])
  })
})

test('a worker without spec.embedding answers 404 to embeddings and lists its model', async () => {
  const worker = await startWorker(identityModel('FP32'))
  try {
    const refused = await embed(worker.url, { input: 'two' })
    expect([refused.status, errorOf(refused).message]).toEqual([404, expect.stringContaining('no spec.embedding')])
    expect((await call(worker.url, '/v1/models')).status).toBe(200)
  } finally {
    await worker.close()
  }
})

test('graphs of other forms embed too: 32-bit ids, one row at once, a fixed length, no mask, pooled by themselves', async () => {
  const forms = [
    { model: tinyEmbeddingModel({ type: 'INT32' }), settings: {} },
    { model: tinyEmbeddingModel({ shape: [1, 'sequence'] }), settings: {} },
    { model: tinyEmbeddingModel({ shape: ['batch', 8] }), settings: { maxTokens: 8 } },
    { model: tinyEmbeddingModel({ inputs: ['input_ids'] }), settings: {} },
    {
      model: tinyEmbeddingModel({ inputs: ['input_ids'], sentence: true }),
      settings: { pooling: 'None', output: 'sentence' },
    },
    { model: tinyEmbeddingModel({ inputs: ['input_ids', 'attention_mask', 'token_type_ids'] }), settings: {} },
  ]
  for (const { model, settings } of forms) {
    const worker = await startWorker(model, { embedding: { tokenizer: tinyTokenizer, settings } })
    try {
      const [first, second] = vectorsOf(await embed(worker.url, { input: ['four', 'two three'] }))
      expect(first).toEqual([expect.closeTo(0.6), expect.closeTo(0.8), 0])
      expect(second).toEqual([0, expect.closeTo(Math.SQRT1_2), expect.closeTo(Math.SQRT1_2)])
    } finally {
      await worker.close()
    }
  }
})

test('vectors that shall not be normalized are given as the model made them; CLS takes the first token', async () => {
  const worker = await startWorker(tinyEmbeddingModel(), {
    embedding: { tokenizer: tinyTokenizer, settings: { pooling: 'CLS', normalize: false } },
  })
  try {
    const input = ['four two', 'two four']
    expect(vectorsOf(await embed(worker.url, { input }))).toEqual([
      [3, 4, 0],
      [0, 2, 0],
    ])
    expect(vectorsOf(await embed(worker.url, { input: 'four', dimensions: 1 }))).toEqual([[3]])
  } finally {
    await worker.close()
  }
})

test('a regular expression that never ends costs its request, not the worker', { timeout: 60_000 }, async () => {
  const hostile = tokenizerJson({
    pre_tokenizer: { type: 'Split', pattern: { Regex: '(two|(a+)+b|four)' }, behavior: 'Isolated', invert: false },
  })
  const worker = await startWorker(tinyEmbeddingModel(), { embedding: { tokenizer: hostile } })
  try {
    const hang = await embed(worker.url, { input: 'a'.repeat(60) })
    expect([hang.status, errorOf(hang).message]).toEqual([400, expect.stringContaining('more than 10 s')])
    expect(vectorsOf(await embed(worker.url, { input: 'four' }))).toHaveLength(1)
    const restarts = await worker.registry.getSingleMetric('hansa_worker_tokenizer_restarts_total')?.get()
    expect(restarts?.values[0]?.value).toBe(1)
  } finally {
    await worker.close()
  }
})

test.each<[string, Parameters<typeof tinyEmbeddingModel>[0], Buffer, object, RegExp]>([
  [
    'a tokenizer that is no JSON',
    {},
    Buffer.from('{"model":'),
    {},
    /tokenizer of the Model cannot be used: it is no JSON/,
  ],
  ['a tokenizer without a model', {}, Buffer.from('{}'), {}, /member "model" is missing/],
  [
    'a tokenizer of an unknown kind',
    {},
    tokenizerJson({ model: { type: 'Magic', vocab: [] } }),
    {},
    /its model is "Magic"; WordPiece, BPE, Unigram are understood/,
  ],
  [
    'a tokenizer whose ids are no numbers',
    {},
    tokenizerJson({ model: wordPiece({ '[UNK]': 'one' }) }),
    {},
    /gives no token ids|vocabulary is empty or has ids/,
  ],
  [
    'a tokenizer that hangs at once',
    {},
    tokenizerJson({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(([a-zA-Z. ]+)+)+7' }, behavior: 'Isolated' } }),
    {},
    /too long or too much memory to load/,
  ],
  ['an unknown input', { inputs: ['input_ids', 'pixels'] }, tinyTokenizer, {}, /its input "pixels" is unknown/],
  ['no input_ids', { inputs: ['attention_mask'] }, tinyTokenizer, {}, /no input input_ids/],
  ['inputs of floats', { type: 'FP32' as const, inputs: ['input_ids'] }, tinyTokenizer, {}, /./],
  ['a fixed batch', { shape: [4, 'sequence'] }, tinyTokenizer, {}, /exactly 4 rows/],
  [
    'a fixed length below maxTokens',
    { shape: ['batch', 8] },
    tinyTokenizer,
    {},
    /takes 8 tokens, embedding.maxTokens is 512/,
  ],
  [
    'an output that is not there',
    {},
    tinyTokenizer,
    { output: 'pooled' },
    /no output "pooled"; .* "last_hidden_state"/,
  ],
  [
    'an output of the wrong rank',
    {},
    tinyTokenizer,
    { pooling: 'None' },
    /pooling None needs an output .* \[batch, dimensions\]/,
  ],
])('%s fails the load with its reason', { timeout: 60_000 }, async (_what, model, tokenizer, settings, message) => {
  const start = startWorker(tinyEmbeddingModel(model), {
    embedding: { tokenizer, settings },
    timeouts: { loadSeconds: 3 },
  })
  const failed = await start.then(
    async (worker) => {
      await worker.close()
      throw new Error('it started')
    },
    (error: unknown) => error,
  )
  expect(failed).toMatchObject({ reason: 'ModelLoadFailed', message: expect.stringMatching(message) })
})
