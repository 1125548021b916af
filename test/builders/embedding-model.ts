import { type Dim, type OnnxType, onnxModel, type Value } from './onnx-model.ts'

/** Rows of the table of `tinyEmbeddingModel`: the vector of each token id. Row 0 is padding and would spoil every mean. */
export const tinyVectors = [
  [1000, 1000, 1000],
  [1, 0, 0],
  [0, 2, 0],
  [0, 0, 2],
  [3, 4, 0],
  [-1, 0, 0],
] as const

/** A `tokenizer.json` of the words one to four with these ids; 0 is padding and 5 an unknown word. */
export const tinyTokenizer = tokenizerJson({})

/** A `tokenizer.json` like `tinyTokenizer` with other parts. */
export function tokenizerJson(parts: object): Buffer {
  return Buffer.from(
    JSON.stringify({
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: wordPiece({ '[PAD]': 0, one: 1, two: 2, three: 3, four: 4, '[UNK]': 5 }),
      ...parts,
    }),
  )
}

/** The part `model` of a `tokenizer.json` with this vocabulary. */
export function wordPiece(vocab: object): object {
  return {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab,
  }
}

type Options = {
  type?: OnnxType
  shape?: readonly Dim[]
  inputs?: readonly string[]
  /** Also gives an output `sentence` [batch, 3]: the sum over the sequence. */
  sentence?: boolean
}

/** Looks each token id up in `tinyVectors`: `input_ids` [batch, sequence] to `last_hidden_state` [batch, sequence, 3]. */
export function tinyEmbeddingModel(options: Options = {}): Buffer {
  const { type = 'INT64', shape = ['batch', 'sequence'], sentence = false } = options
  const { inputs = ['input_ids', 'attention_mask'] } = options
  const [batch = 'batch', sequence = 'sequence'] = shape
  const outputs: Value[] = [{ name: 'last_hidden_state', type: 'FP32', shape: [batch, sequence, 3] }]
  if (sentence) outputs.push({ name: 'sentence', type: 'FP32', shape: [batch, 3] })
  const table = Float32Array.from(tinyVectors.flat())
  return onnxModel({
    nodes: [
      { op: 'Gather', inputs: ['table', inputs[0] ?? 'input_ids'], outputs: ['last_hidden_state'] },
      ...(sentence
        ? [
            {
              op: 'ReduceSum',
              inputs: ['last_hidden_state', 'axis'],
              outputs: ['sentence'],
              attributes: [{ name: 'keepdims', int: 0 }],
            },
          ]
        : []),
    ],
    inputs: inputs.map((name) => ({ name, type, shape })),
    outputs,
    initializers: [
      { name: 'table', type: 'FP32', shape: [tinyVectors.length, 3], raw: new Uint8Array(table.buffer) },
      { name: 'axis', type: 'INT64', shape: [1], raw: new Uint8Array(BigInt64Array.of(1n).buffer) },
    ],
  })
}
