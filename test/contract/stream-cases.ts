import { code, model, type StreamCase } from './case.ts'

const numbers = { name: 'numbers', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } }
const words = { name: 'words', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('a')] } }
const good = (id: string) => ({ model_name: model, id, inputs: [numbers, words] })
const bad = (id: string) => ({ model_name: model, id, inputs: [numbers] })
const many = (count: number) => Array.from({ length: count }, (_, index) => String(index))
const answered = (id: string) => ({
  id,
  response: { id, model_name: model, outputs: [{ name: 'sameWords' }, { name: 'sameNumbers' }] },
})

const rows: [string, readonly object[], StreamCase['expect']][] = [
  ['no request', [], { code: code.ok, answers: [] }],
  ['one request', [good('a')], { code: code.ok, answers: [answered('a')] }],
  ['fifty requests, each answered once', many(50).map(good), { code: code.ok, answers: many(50).map(answered) }],
  [
    'an error in the middle, which ends nothing',
    [good('a'), bad('b'), good('c')],
    { code: code.ok, answers: [answered('a'), { id: 'b', failed: true }, answered('c')] },
  ],
  [
    'nothing but errors',
    [bad('a'), bad('b')],
    { code: code.ok, answers: ['a', 'b'].map((id) => ({ id, failed: true })) },
  ],
  [
    'a version that there is not',
    [{ ...good('a'), model_version: '2' }, good('b')],
    { code: code.ok, answers: [{ id: 'a', failed: true }, answered('b')] },
  ],
  [
    'an output that there is not',
    [{ ...good('a'), outputs: [{ name: 'nothing' }] }],
    { code: code.ok, answers: [{ id: 'a', failed: true }] },
  ],
  [
    'one output of two',
    [{ ...good('a'), outputs: [{ name: 'sameNumbers' }] }],
    { code: code.ok, answers: [{ id: 'a', response: { outputs: [{ name: 'sameNumbers' }] } }] },
  ],
  [
    'a sequence, which is not offered',
    [{ ...good('a'), parameters: { sequence_id: { int64_param: '1' } } }, good('b')],
    { code: code.ok, answers: [{ id: 'a', failed: true }, answered('b')] },
  ],
  ['ids of other letters', [good('grüß-😀')], { code: code.ok, answers: [answered('grüß-😀')] }],
]

/** Triton's ModelStreamInfer. */
export const streamCases: readonly StreamCase[] = rows.map(([id, requests, expect]) => ({
  id: `stream ${id}`,
  protocol: 'stream',
  service: 'pair',
  requests,
  expect,
}))
