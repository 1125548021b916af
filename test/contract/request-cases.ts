import { type ContractCase, code, type GrpcCase, model, type RestCase } from './case.ts'
import { framed } from './samples.ts'
import { limitBytes, type ServiceName } from './services.ts'

/**
 * One request told once for both protocols: what the specification says of names, shapes, ids, versions, parameters and outputs
 * holds for REST and gRPC alike, and so do the words of a refusal.
 */
type Row = {
  readonly id: string
  readonly service?: ServiceName
  readonly request: {
    readonly version?: string
    readonly id?: string
    readonly parameters?: Parameters
    readonly inputs?: readonly Input[]
    readonly outputs?: readonly { name: string; parameters?: Parameters }[]
  }
  readonly timeoutMs?: number
  /** Status of REST and code of gRPC. */
  readonly expect: readonly [status: number, code: number]
  readonly answer?: { readonly id?: string; readonly outputs?: readonly Input[] }
  /** Whether both protocols must refuse in the same words. */
  readonly words?: false
}

type Parameters = Readonly<Record<string, string | number | boolean>>
type Input = {
  readonly name: string
  readonly datatype: 'FP32' | 'BYTES' | 'INT64' | 'FP64' | 'BF16' | 'FP13'
  readonly shape: readonly number[]
  readonly data?: readonly (number | string)[]
  readonly parameters?: Parameters
}

const numbers: Input = { name: 'numbers', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }
const words: Input = { name: 'words', datatype: 'BYTES', shape: [2], data: ['a', 'bc'] }
const sameNumbers: Input = { ...numbers, name: 'sameNumbers' }
const sameWords: Input = { ...words, name: 'sameWords' }
const inputs = [numbers, words]
const ok: Row['expect'] = [200, code.ok]
const invalid: Row['expect'] = [400, code.invalidArgument]
const missing: Row['expect'] = [404, code.notFound]
const unsupported: Row['expect'] = [501, code.unimplemented]
const failed: Row['expect'] = [500, code.internal]
const long = 'ü'.repeat(1024)
const x = (datatype: Input['datatype'], shape: number[], data: number[]): Input => ({
  name: 'x',
  datatype,
  shape,
  data,
})

const fields: Readonly<Record<Input['datatype'], string>> = {
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
  INT64: 'int64_contents',
  BF16: 'fp32_contents',
  FP13: 'fp32_contents',
}

const outputRows: Row[] = [
  {
    id: 'no outputs named: all, in the order of the model',
    request: { inputs },
    expect: ok,
    answer: { outputs: [sameWords, sameNumbers] },
  },
  {
    id: 'an empty list of outputs: all',
    request: { inputs, outputs: [] },
    expect: ok,
    answer: { outputs: [sameWords, sameNumbers] },
  },
  {
    id: 'one output',
    request: { inputs, outputs: [{ name: 'sameNumbers' }] },
    expect: ok,
    answer: { outputs: [sameNumbers] },
  },
  {
    id: 'the other output',
    request: { inputs, outputs: [{ name: 'sameWords' }] },
    expect: ok,
    answer: { outputs: [sameWords] },
  },
  {
    id: 'outputs in an order of their own',
    request: { inputs, outputs: [{ name: 'sameNumbers' }, { name: 'sameWords' }] },
    expect: ok,
    answer: { outputs: [sameNumbers, sameWords] },
  },
  { id: 'an unknown output', request: { inputs, outputs: [{ name: 'nothing' }] }, expect: invalid },
  {
    id: 'an output twice',
    request: { inputs, outputs: [{ name: 'sameWords' }, { name: 'sameWords' }] },
    expect: invalid,
  },
  { id: 'an input as output', request: { inputs, outputs: [{ name: 'numbers' }] }, expect: invalid },
]

const inputRows: Row[] = [
  {
    id: 'inputs in another order',
    request: { inputs: [words, numbers] },
    expect: ok,
    answer: { outputs: [sameWords, sameNumbers] },
  },
  { id: 'no inputs', request: { inputs: [] }, expect: invalid },
  { id: 'an input missing', request: { inputs: [numbers] }, expect: invalid },
  { id: 'the other input missing', request: { inputs: [words] }, expect: invalid },
  { id: 'an unknown input', request: { inputs: [...inputs, { ...words, name: 'more' }] }, expect: invalid },
  { id: 'an input twice', request: { inputs: [...inputs, numbers] }, expect: invalid },
  {
    id: 'another datatype than the model has',
    request: { inputs: [{ ...numbers, datatype: 'FP64' }, words] },
    expect: invalid,
  },
  { id: 'a datatype that is none', request: { inputs: [{ ...numbers, datatype: 'FP13' }, words] }, expect: invalid },
  {
    id: 'BF16, which the runtime lacks',
    request: { inputs: [{ ...numbers, datatype: 'BF16' }, words] },
    expect: unsupported,
  },
]

const shapeRows: Row[] = [
  {
    id: 'a dynamic dimension of 1',
    request: { inputs: [{ ...numbers, shape: [1, 2], data: [5, 6] }, words] },
    expect: ok,
    answer: { outputs: [sameWords, { ...sameNumbers, shape: [1, 2], data: [5, 6] }] },
  },
  {
    id: 'a dynamic dimension of 3',
    request: { inputs: [{ ...numbers, shape: [3, 2], data: [5, 6, 7, 8, 9, 0] }, words] },
    expect: ok,
    answer: { outputs: [sameWords, { ...sameNumbers, shape: [3, 2], data: [5, 6, 7, 8, 9, 0] }] },
  },
  { id: 'too few dimensions', request: { inputs: [{ ...numbers, shape: [4] }, words] }, expect: invalid },
  { id: 'too many dimensions', request: { inputs: [{ ...numbers, shape: [1, 2, 2] }, words] }, expect: invalid },
  { id: 'no dimensions', request: { inputs: [{ ...numbers, shape: [] }, words] }, expect: invalid },
  {
    id: 'another size of a fixed dimension',
    request: { inputs: [{ ...numbers, shape: [1, 4] }, words] },
    expect: invalid,
  },
  {
    id: 'a negative dimension',
    request: { inputs: [{ ...numbers, shape: [-1, 2] }, words] },
    expect: invalid,
    words: false,
  },
  {
    id: 'a dimension beyond what a message can hold',
    request: { inputs: [{ ...numbers, shape: [2 ** 40, 2] }, words] },
    expect: invalid,
  },
  {
    id: 'a scalar',
    service: 'scalar',
    request: { inputs: [x('INT64', [], [7])] },
    expect: ok,
    answer: { outputs: [{ ...x('INT64', [], [7]), name: 'y' }] },
  },
  { id: 'a vector for a scalar', service: 'scalar', request: { inputs: [x('INT64', [1], [7])] }, expect: invalid },
  { id: 'two values for a scalar', service: 'scalar', request: { inputs: [x('INT64', [], [7, 8])] }, expect: invalid },
  {
    id: 'the shape of a fixed input',
    service: 'fixed',
    request: { inputs: [x('FP32', [2, 2], [1, 2, 3, 4])] },
    expect: ok,
    answer: { outputs: [{ ...x('FP32', [2, 2], [1, 2, 3, 4]), name: 'y' }] },
  },
  {
    id: 'another shape for a fixed input',
    service: 'fixed',
    request: { inputs: [x('FP32', [1, 2], [1, 2])] },
    expect: invalid,
  },
  {
    id: 'three dimensions',
    service: 'matrix',
    request: { inputs: [x('FP32', [1, 2, 3], [1, 2, 3, 4, 5, 6])] },
    expect: ok,
    answer: { outputs: [{ ...x('FP32', [1, 2, 3], [1, 2, 3, 4, 5, 6]), name: 'y' }] },
  },
  {
    id: 'an empty dimension among others',
    service: 'matrix',
    request: { inputs: [x('FP32', [2, 0, 3], [])] },
    expect: ok,
    answer: { outputs: [{ ...x('FP32', [2, 0, 3], []), name: 'y' }] },
  },
]

const idRows: Row[] = [
  { id: 'an id', request: { inputs, id: '42' }, expect: ok, answer: { id: '42' } },
  { id: 'an id of other letters', request: { inputs, id: 'grüß-😀 "x"' }, expect: ok, answer: { id: 'grüß-😀 "x"' } },
  { id: 'the longest id', request: { inputs, id: long }, expect: ok, answer: { id: long } },
  { id: 'too long an id', request: { inputs, id: `${long}x` }, expect: invalid, words: false },
  { id: 'version 1', request: { inputs, version: '1' }, expect: ok },
  { id: 'a version that there is not', request: { inputs, version: '2' }, expect: missing },
]

const parameterRows: Row[] = [
  ...Object.entries({ text: 'a', empty: '', whole: 3, negative: -3, fraction: 0.5, yes: true, no: false }).flatMap(
    ([name, value]): Row[] => [
      { id: `parameter ${name} of the request`, request: { inputs, parameters: { [name]: value } }, expect: ok },
      {
        id: `parameter ${name} of an input`,
        request: { inputs: [{ ...numbers, parameters: { [name]: value } }, words] },
        expect: ok,
      },
      {
        id: `parameter ${name} of an output`,
        request: { inputs, outputs: [{ name: 'sameWords', parameters: { [name]: value } }] },
        expect: ok,
      },
    ],
  ),
  ...Object.entries({ sequence_id: 7, sequence_start: true, sequence_end: true }).map(
    ([name, value]): Row => ({
      id: `parameter ${name}, whose extension is not offered`,
      request: { inputs, parameters: { [name]: value } },
      expect: unsupported,
    }),
  ),
  {
    id: 'an output of a classification, which is not offered',
    request: { inputs, outputs: [{ name: 'sameWords', parameters: { classification: 2 } }] },
    expect: unsupported,
  },
  {
    id: 'an input in shared memory, which is not offered',
    request: { inputs: [{ ...numbers, parameters: { shared_memory_region: 'r' } }, words] },
    expect: unsupported,
  },
  {
    id: 'an output into shared memory, which is not offered',
    request: { inputs, outputs: [{ name: 'sameWords', parameters: { shared_memory_region: 'r' } }] },
    expect: unsupported,
  },
]

const failureRows: Row[] = [
  {
    id: 'a value that the model fails on',
    service: 'gather',
    request: { inputs: [{ name: 'index', datatype: 'INT64', shape: [1], data: [99] }] },
    expect: failed,
  },
  {
    id: 'the next request after a failure',
    service: 'gather',
    request: { inputs: [{ name: 'index', datatype: 'INT64', shape: [2], data: [1, 0] }] },
    expect: ok,
    answer: { outputs: [{ name: 'y', datatype: 'FP32', shape: [2], data: [20, 10] }] },
  },
  {
    id: 'an answer over the limit',
    service: 'grow',
    request: { inputs: [{ name: 'shape', datatype: 'INT64', shape: [1], data: [limitBytes] }] },
    expect: [500, code.resourceExhausted],
  },
  {
    id: 'an answer within the limit',
    service: 'grow',
    request: { inputs: [{ name: 'shape', datatype: 'INT64', shape: [1], data: [3] }] },
    expect: ok,
    answer: { outputs: [{ name: 'y', datatype: 'FP32', shape: [3], data: [0, 0, 0] }] },
  },
  {
    id: 'a deadline that passes while the model runs',
    service: 'slow',
    timeoutMs: 150,
    request: {
      inputs: [
        { name: 'n', datatype: 'INT64', shape: [], data: [300_000] },
        { name: 'x', datatype: 'FP32', shape: [1], data: [0] },
      ],
    },
    expect: [504, code.deadlineExceeded],
    words: false,
  },
]

const rows = [...outputRows, ...inputRows, ...shapeRows, ...idRows, ...parameterRows, ...failureRows]

export const requestCases: readonly ContractCase[] = [
  ...rows.flatMap((row) => [restCase(row), grpcCase(row)]),
  ...restOnly(),
  ...grpcOnly(),
]

function restCase(row: Row): RestCase {
  const { version, ...body } = row.request
  const [status] = row.expect
  return {
    id: `REST ${row.id}`,
    protocol: 'REST',
    service: row.service ?? 'pair',
    method: 'POST',
    path: `/v2/models/${model}${version === undefined ? '' : `/versions/${version}`}/infer`,
    // The first is what a gateway tells a worker, the second what users tell a gateway.
    ...(row.timeoutMs !== undefined && {
      headers: { 'x-hansa-timeout-ms': String(row.timeoutMs), 'x-request-timeout-ms': String(row.timeoutMs) },
    }),
    body: JSON.stringify(body),
    expect: {
      status,
      ...(status === 200 && { json: { model_name: model, model_version: '1', ...row.answer } }),
      ...(status !== 200 && row.words !== false && { words: row.id }),
    },
  }
}

function grpcCase(row: Row): GrpcCase {
  const { version, parameters, inputs: given = [], outputs = [], id } = row.request
  const [, wanted] = row.expect
  return {
    id: `gRPC ${row.id}`,
    protocol: 'gRPC',
    service: row.service ?? 'pair',
    call: 'ModelInfer',
    // As metadata of our own, so that the client does not end the call by itself.
    ...(row.timeoutMs !== undefined && { metadata: { 'grpc-timeout': `${row.timeoutMs}m` } }),
    request: {
      model_name: model,
      ...(version !== undefined && { model_version: version }),
      ...(id !== undefined && { id }),
      parameters: choices(parameters),
      inputs: given.map((input) => ({ ...tensor(input), parameters: choices(input.parameters) })),
      outputs: outputs.map((output) => ({ name: output.name, parameters: choices(output.parameters) })),
    },
    expect: {
      code: wanted,
      ...(wanted === code.ok && {
        response: {
          model_name: model,
          model_version: '1',
          ...(row.answer?.id !== undefined && { id: row.answer.id }),
          ...(row.answer?.outputs !== undefined && {
            outputs: row.answer.outputs.map((output) => ({ ...tensor(output), shape: output.shape.map(String) })),
          }),
        },
      }),
      ...(wanted !== code.ok && row.words !== false && { words: row.id }),
    },
  }
}

function tensor({ name, datatype, shape, data = [] }: Input) {
  const values =
    datatype === 'BYTES'
      ? data.map((value) => Buffer.from(String(value)))
      : datatype === 'INT64'
        ? data.map(String)
        : data
  return { name, datatype, shape, contents: { [fields[datatype]]: values } }
}

/** Values as InferParameter: each kind of JSON has one of its own, and whole numbers are int64. */
function choices(parameters: Parameters = {}) {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      if (typeof value === 'boolean') return [name, { bool_param: value }]
      if (typeof value === 'string') return [name, { string_param: value }]
      return [name, Number.isInteger(value) ? { int64_param: String(value) } : { double_param: value }]
    }),
  )
}

/** What only HTTP can get wrong: bodies, headers, the binary extension. */
function restOnly(): RestCase[] {
  const good = JSON.stringify({ inputs })
  const mixed = (body: object, data: readonly Uint8Array[], length?: number | string) => {
    const head = Buffer.from(JSON.stringify(body))
    return {
      body: Buffer.concat([head, ...data]),
      headers: { 'inference-header-content-length': String(length ?? head.byteLength) },
    }
  }
  const { data: _data, ...bare } = numbers
  const { data: _words, ...bareWords } = words
  const sized = (size: unknown) => ({ ...bare, parameters: { binary_data_size: size } })
  const floats = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)
  const list: [string, Partial<RestCase>, RestCase['expect']][] = [
    ['no JSON', { body: 'inputs' }, { status: 400 }],
    ['JSON that is cut off', { body: good.slice(0, -2) }, { status: 400 }],
    ['JSON that is no object', { body: '[]' }, { status: 400 }],
    ['an empty body', { body: '' }, { status: 400 }],
    ['no member inputs', { body: '{}' }, { status: 400 }],
    ['inputs that are no list', { body: '{"inputs":{}}' }, { status: 400 }],
    [
      'an input without a name',
      { body: JSON.stringify({ inputs: [{ ...numbers, name: undefined }, words] }) },
      { status: 400 },
    ],
    [
      'an input without a datatype',
      { body: JSON.stringify({ inputs: [{ ...numbers, datatype: undefined }, words] }) },
      { status: 400 },
    ],
    [
      'an input without a shape',
      { body: JSON.stringify({ inputs: [{ ...numbers, shape: undefined }, words] }) },
      { status: 400 },
    ],
    ['an input without data', { body: JSON.stringify({ inputs: [bare, words] }) }, { status: 400 }],
    [
      'a fraction as dimension',
      { body: JSON.stringify({ inputs: [{ ...numbers, shape: [2.5, 2] }, words] }) },
      { status: 400 },
    ],
    [
      'data nested unlike the shape',
      { body: JSON.stringify({ inputs: [{ ...numbers, data: [[1, 2, 3, 4]] }, words] }) },
      { status: 400 },
    ],
    ['a body over the limit', { body: Buffer.alloc(limitBytes + 1, 0x20) }, { status: 413 }],
    ['bytes that are no UTF-8', { body: Buffer.from([0x7b, 0xff, 0x7d]) }, { status: 400 }],
    [
      'members that the specification does not know',
      { body: JSON.stringify({ inputs, extra: { a: [1] } }) },
      { status: 200 },
    ],
    ['another content type', { body: good, headers: { 'content-type': 'text/xml' } }, { status: 415 }],
    [
      'a content type with a charset',
      { body: good, headers: { 'content-type': 'application/json; charset=utf-8' } },
      { status: 200 },
    ],
    ['a compressed body', { body: good, headers: { 'content-encoding': 'gzip' } }, { status: 415 }],
    [
      'one input as JSON and one binary',
      mixed({ inputs: [sized(16), words] }, [floats]),
      { status: 200, json: { outputs: [{ data: ['a', 'bc'] }, { data: [1, 2, 3, 4] }] } },
    ],
    [
      'two binary inputs in their order',
      mixed({ inputs: [{ ...bareWords, parameters: { binary_data_size: 11 } }, sized(16)] }, [
        framed('a', 'bc'),
        floats,
      ]),
      { status: 200, json: { outputs: [{ data: ['a', 'bc'] }, { data: [1, 2, 3, 4] }] } },
    ],
    [
      'one output as JSON and one binary',
      {
        body: JSON.stringify({
          inputs,
          outputs: [{ name: 'sameWords' }, { name: 'sameNumbers', parameters: { binary_data: true } }],
        }),
      },
      {
        status: 200,
        json: { outputs: [{ data: ['a', 'bc'] }, { parameters: { binary_data_size: 16 } }] },
        binary: floats,
      },
    ],
    [
      'all outputs binary but one',
      {
        body: JSON.stringify({
          inputs,
          parameters: { binary_data_output: true },
          outputs: [{ name: 'sameWords', parameters: { binary_data: false } }, { name: 'sameNumbers' }],
        }),
      },
      {
        status: 200,
        json: { outputs: [{ data: ['a', 'bc'] }, { parameters: { binary_data_size: 16 } }] },
        binary: floats,
      },
    ],
    [
      'two binary outputs in their order',
      { body: JSON.stringify({ inputs, parameters: { binary_data_output: true } }) },
      { status: 200, binary: Buffer.concat([framed('a', 'bc'), floats]) },
    ],
    ['binary data without the header', { body: JSON.stringify({ inputs: [sized(16), words] }) }, { status: 400 }],
    [
      'data and binary_data_size',
      mixed({ inputs: [{ ...numbers, parameters: { binary_data_size: 16 } }, words] }, [floats]),
      { status: 400 },
    ],
    ['a binary_data_size that is no number', mixed({ inputs: [sized('16'), words] }, [floats]), { status: 400 }],
    ['a negative binary_data_size', mixed({ inputs: [sized(-16), words] }, [floats]), { status: 400 }],
    ['binary data that ends too soon', mixed({ inputs: [sized(16), words] }, [floats.subarray(4)]), { status: 400 }],
    ['binary data that goes on', mixed({ inputs: [sized(16), words] }, [floats, floats]), { status: 400 }],
    [
      'BYTES elements that reach past the end',
      mixed({ inputs: [numbers, { ...bareWords, parameters: { binary_data_size: 11 } }] }, [
        Buffer.from([255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      ]),
      { status: 400 },
    ],
    ['a header length beyond the body', mixed({ inputs }, [], 1_000_000), { status: 400 }],
    ['a header length that is no number', mixed({ inputs }, [], 'all'), { status: 400 }],
    ['a negative header length', mixed({ inputs }, [], '-1'), { status: 400 }],
    [
      'a raw body for a model of two inputs',
      { body: floats, headers: { 'inference-header-content-length': '0' } },
      { status: 400 },
    ],
    [
      'a binary_data that is no boolean',
      { body: JSON.stringify({ inputs, outputs: [{ name: 'sameWords', parameters: { binary_data: 1 } }] }) },
      { status: 400 },
    ],
    [
      'an x-request-id, which comes back',
      { body: good, headers: { 'x-request-id': 'r-1' } },
      { status: 200, headers: { 'x-request-id': 'r-1' } },
    ],
  ]
  const path = `/v2/models/${model}/infer`
  const base = { protocol: 'REST', service: 'pair', method: 'POST', path } as const
  const nan = Buffer.from(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 0).buffer)
  const asNan = { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } }] }
  return [
    ...list.map(([id, more, expect]): RestCase => ({ ...base, ...more, id: `REST ${id}`, expect })),
    {
      ...base,
      ...mixed(asNan, [nan]),
      id: 'REST NaN, which JSON has not',
      service: 'type-fp32',
      expect: { status: 400 },
    },
    {
      ...base,
      ...mixed({ ...asNan, parameters: { binary_data_output: true } }, [nan]),
      id: 'REST NaN in binary',
      service: 'type-fp32',
      expect: { status: 200, binary: nan },
    },
  ]
}

/** What only gRPC can get wrong: raw contents, kinds of parameters, sizes of messages. */
function grpcOnly(): GrpcCase[] {
  const floats = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)
  const { data: _data, ...bare } = numbers
  const { data: _words, ...bareWords } = words
  const rawInputs = { inputs: [bare, bareWords] }
  const parameters = {
    b: { bool_param: true },
    i: { int64_param: '-9223372036854775808' },
    s: { string_param: 'ü' },
    d: { double_param: 0.5 },
    u: { uint64_param: '18446744073709551615' },
  }
  const nan = Buffer.from(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 0).buffer)
  const typed = inputs.map(tensor)
  const list: [string, object, GrpcCase['expect'], Partial<GrpcCase>?][] = [
    [
      'raw inputs of two kinds',
      { ...rawInputs, raw_input_contents: [floats, framed('a', 'bc')] },
      {
        code: code.ok,
        response: {
          outputs: [{ name: 'sameWords' }, { name: 'sameNumbers' }],
          raw_output_contents: [framed('a', 'bc'), floats],
        },
      },
    ],
    [
      'raw outputs in the order asked for',
      {
        ...rawInputs,
        raw_input_contents: [floats, framed('a', 'bc')],
        outputs: [{ name: 'sameNumbers' }, { name: 'sameWords' }],
      },
      { code: code.ok, response: { raw_output_contents: [floats, framed('a', 'bc')] } },
    ],
    ['fewer raw contents than inputs', { ...rawInputs, raw_input_contents: [floats] }, { code: code.invalidArgument }],
    [
      'more raw contents than inputs',
      { ...rawInputs, raw_input_contents: [floats, framed('a', 'bc'), floats] },
      { code: code.invalidArgument },
    ],
    [
      'raw contents in the wrong order',
      { ...rawInputs, raw_input_contents: [framed('a', 'bc'), floats] },
      { code: code.invalidArgument },
    ],
    [
      'one input typed and one raw',
      { inputs: [typed[0], bareWords], raw_input_contents: [framed('a', 'bc')] },
      { code: code.invalidArgument },
    ],
    [
      'raw BYTES that reach past the end',
      { ...rawInputs, raw_input_contents: [floats, Buffer.from([255, 0, 0, 0])] },
      { code: code.invalidArgument },
    ],
    ['every kind of parameter on the request', { inputs: typed, parameters }, { code: code.ok }],
    ['every kind of parameter on an input', { inputs: [{ ...typed[0], parameters }, typed[1]] }, { code: code.ok }],
    [
      'every kind of parameter on an output',
      { inputs: typed, outputs: [{ name: 'sameWords', parameters }] },
      { code: code.ok },
    ],
    ['a parameter without a value', { inputs: typed, parameters: { p: {} } }, { code: code.ok }],
    [
      'a message over the limit',
      {
        inputs: [{ name: 'numbers', datatype: 'FP32', shape: [limitBytes / 8 + 2, 2] }, bareWords],
        raw_input_contents: [Buffer.alloc(limitBytes + 16), framed('a', 'bc')],
      },
      { code: code.resourceExhausted },
    ],
    [
      'a message just within the limit',
      {
        inputs: [{ name: 'numbers', datatype: 'FP32', shape: [limitBytes / 16, 2] }, bareWords],
        raw_input_contents: [Buffer.alloc(limitBytes / 2), framed('a', 'bc')],
      },
      { code: code.ok },
    ],
    [
      'NaN and Infinity, raw',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2] }], raw_input_contents: [nan] },
      { code: code.ok, response: { raw_output_contents: [nan] } },
      { service: 'type-fp32' },
    ],
    [
      'NaN and Infinity, typed',
      {
        inputs: [
          {
            name: 'x',
            datatype: 'FP32',
            shape: [2, 2],
            contents: { fp32_contents: [1, Number.NaN, Number.POSITIVE_INFINITY, 0] },
          },
        ],
      },
      {
        code: code.ok,
        response: { outputs: [{ contents: { fp32_contents: [1, Number.NaN, Number.POSITIVE_INFINITY, 0] } }] },
      },
      { service: 'type-fp32' },
    ],
    [
      'an x-request-id, which comes back',
      { inputs: typed },
      { code: code.ok, metadata: { 'x-request-id': 'r-2' } },
      { metadata: { 'x-request-id': 'r-2' } },
    ],
    ['an id that is empty', { inputs: typed, id: '' }, { code: code.ok, response: { id: '' } }],
    [
      'an id on raw contents',
      { ...rawInputs, raw_input_contents: [floats, framed('a', 'bc')], id: 'raw-1' },
      { code: code.ok, response: { id: 'raw-1' } },
    ],
    [
      'a deadline of the client',
      {
        inputs: [
          { name: 'n', datatype: 'INT64', shape: [], contents: { int64_contents: ['300000'] } },
          { name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [0] } },
        ],
      },
      { code: code.deadlineExceeded },
      { service: 'slow', deadlineMs: 150 },
    ],
  ]
  return list.map(([id, request, expect, more]) => ({
    id: `gRPC ${id}`,
    protocol: 'gRPC',
    service: 'pair',
    call: 'ModelInfer',
    request: { model_name: model, ...request },
    expect,
    ...more,
  }))
}
