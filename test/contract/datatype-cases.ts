import { type ContractCase, code, type GrpcCase, model, type RestCase, type StreamCase } from './case.ts'
import { jsonArray, messageValues, type Sample, samples } from './samples.ts'
import type { ServiceName } from './services.ts'

const inferPath = `/v2/models/${model}/infer`

/** Every datatype in every form: JSON, binary, raw body, typed and raw contents, on a stream; and what is no value of it. */
export const datatypeCases: readonly ContractCase[] = samples.flatMap((sample) => [
  ...restForms(sample),
  ...restRefusals(sample),
  ...grpcForms(sample),
  ...grpcRefusals(sample),
])

function serviceOf({ datatype }: Sample): ServiceName {
  // The template is the type's own.
  return `type-${datatype.toLowerCase()}` as ServiceName
}

function rest(sample: Sample, form: string, more: Omit<RestCase, 'id' | 'protocol' | 'service' | 'path'>): RestCase {
  return {
    id: `${sample.datatype} REST ${form}`,
    protocol: 'REST',
    service: serviceOf(sample),
    method: 'POST',
    path: inferPath,
    ...more,
  }
}

function json(sample: Sample, data: string, more = '', shape = '[2,2]'): string {
  return `{"inputs":[{"name":"x","datatype":"${sample.datatype}","shape":${shape},"data":${data}}]${more}}`
}

/** A body of JSON and binary data, with the header that says where one ends. */
function binary(sample: Sample, size: number, data: Uint8Array, more = '') {
  const { datatype } = sample
  const head = Buffer.from(
    `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[2,2],"parameters":{"binary_data_size":${size}}}]${more}}`,
  )
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.byteLength),
    },
    body: Buffer.concat([head, data]),
  }
}

function restForms(sample: Sample): RestCase[] {
  const { datatype, values, bytes } = sample
  const output = { name: 'y', datatype, shape: [2, 2] }
  const asJson = {
    status: 200,
    json: { model_name: model, model_version: '1', outputs: [{ ...output, data: values }] },
  }
  const asBinary = {
    status: 200,
    json: { outputs: [{ ...output, parameters: { binary_data_size: bytes.byteLength } }] },
    binary: bytes,
    headers: { 'content-type': /^application\/octet-stream/ },
  }
  const nested = `[${jsonArray(values.slice(0, 2))},${jsonArray(values.slice(2))}]`
  const wantsBinary = ',"outputs":[{"name":"y","parameters":{"binary_data":true}}]'
  return [
    rest(sample, 'flat JSON in and out', { body: json(sample, jsonArray(values)), expect: asJson }),
    rest(sample, 'nested JSON in', { body: json(sample, nested), expect: asJson }),
    rest(sample, 'JSON in, binary out', { body: json(sample, jsonArray(values), wantsBinary), expect: asBinary }),
    rest(sample, 'binary in, JSON out', { ...binary(sample, bytes.byteLength, bytes), expect: asJson }),
    rest(sample, 'binary in and out', {
      ...binary(sample, bytes.byteLength, bytes, ',"parameters":{"binary_data_output":true}'),
      expect: asBinary,
    }),
    rest(sample, 'the whole body is the input', {
      headers: { 'inference-header-content-length': '0', 'content-type': 'application/octet-stream' },
      body: bytes,
      // The extension excludes BYTES from this form: elements have no size of their own.
      expect: datatype === 'BYTES' ? { status: 501 } : asBinary,
    }),
    rest(sample, 'an empty tensor', {
      body: json(sample, '[]', '', '[0,2]'),
      expect: { status: 200, json: { outputs: [{ name: 'y', datatype, shape: [0, 2], data: [] }] } },
    }),
  ]
}

function restRefusals(sample: Sample): RestCase[] {
  const { values, bytes, wrongJson } = sample
  const first = jsonArray(values.slice(0, 1)).slice(1, -1)
  const refused = { status: 400 }
  return [
    rest(sample, 'fewer elements than the shape has', {
      body: json(sample, jsonArray(values.slice(0, 3))),
      expect: { ...refused, words: 'fewer elements' },
    }),
    rest(sample, 'more elements than the shape has', {
      body: json(sample, jsonArray([...values, ...values.slice(0, 1)])),
      expect: { ...refused, words: 'more elements' },
    }),
    rest(sample, 'binary data of the wrong size', {
      ...binary(sample, bytes.byteLength - 1, bytes.subarray(0, -1)),
      expect: refused,
    }),
    ...wrongJson.map((wrong, index) =>
      rest(sample, `element ${wrong} is no value`, {
        body: json(sample, `[${first},${wrong},${first},${first}]`),
        expect: { ...refused, ...(index === 0 && sample.wrongTyped.length > 0 && { words: 'out of range' }) },
      }),
    ),
  ]
}

function grpc(sample: Sample, form: string, request: object, expect: GrpcCase['expect']): GrpcCase {
  return {
    id: `${sample.datatype} gRPC ${form}`,
    protocol: 'gRPC',
    service: serviceOf(sample),
    call: 'ModelInfer',
    request: { model_name: model, ...request },
    expect,
  }
}

function tensor({ datatype }: Sample, more: object = {}, shape = [2, 2]) {
  return { name: 'x', datatype, shape, ...more }
}

function grpcForms(sample: Sample): (GrpcCase | StreamCase)[] {
  const { datatype, field, bytes } = sample
  const output = { name: 'y', datatype, shape: ['2', '2'] }
  const raw = { inputs: [tensor(sample)], raw_input_contents: [bytes] }
  const asRaw = {
    model_name: model,
    model_version: '1',
    outputs: [{ ...output, contents: null }],
    raw_output_contents: [bytes],
  }
  const values = messageValues(sample)
  const typed = { inputs: [tensor(sample, { contents: { [field ?? 'fp32_contents']: values } })] }
  const asTyped = { outputs: [{ ...output, contents: { [field ?? '']: values } }], raw_output_contents: [] }
  const stream = (form: string, request: object, answer: object): StreamCase => ({
    id: `${datatype} stream ${form}`,
    protocol: 'stream',
    service: serviceOf(sample),
    requests: [{ model_name: model, id: 'a', ...request }],
    expect: { code: code.ok, answers: [{ id: 'a', response: answer }] },
  })
  return [
    grpc(sample, 'raw contents', raw, { code: code.ok, response: asRaw }),
    grpc(
      sample,
      'typed contents',
      typed,
      field === undefined
        ? { code: code.invalidArgument } // The protocol has no field for it.
        : { code: code.ok, response: asTyped },
    ),
    grpc(
      sample,
      'an empty tensor, raw',
      { inputs: [tensor(sample, {}, [0, 2])], raw_input_contents: [Buffer.alloc(0)] },
      {
        code: code.ok,
        response: { outputs: [{ name: 'y', datatype, shape: ['0', '2'] }], raw_output_contents: [Buffer.alloc(0)] },
      },
    ),
    stream('raw contents', raw, asRaw),
    ...(field === undefined ? [] : [stream('typed contents', typed, asTyped)]),
  ]
}

function grpcRefusals(sample: Sample): GrpcCase[] {
  const { field, bytes, wrongTyped } = sample
  const values = messageValues(sample)
  const refused = { code: code.invalidArgument }
  const cases = [
    grpc(
      sample,
      'raw contents of the wrong size',
      { inputs: [tensor(sample)], raw_input_contents: [bytes.subarray(0, -1)] },
      refused,
    ),
    grpc(sample, 'neither contents nor raw contents', { inputs: [tensor(sample)] }, refused),
  ]
  if (field === undefined) return cases
  const typed = (list: unknown[], name = field) => ({ inputs: [tensor(sample, { contents: { [name]: list } })] })
  const [otherField, otherValue] = field === 'fp32_contents' ? ['fp64_contents', 1] : ['fp32_contents', 1]
  return [
    ...cases,
    grpc(sample, 'typed and raw contents', { ...typed(values), raw_input_contents: [bytes] }, refused),
    grpc(sample, 'fewer typed elements than the shape has', typed(values.slice(1)), {
      ...refused,
      words: 'fewer elements',
    }),
    grpc(sample, 'more typed elements than the shape has', typed([...values, values[0]]), {
      ...refused,
      words: 'more elements',
    }),
    grpc(sample, 'contents in the field of another datatype', typed([1, 1, 1, otherValue], otherField), refused),
    ...wrongTyped.map((wrong, index) =>
      grpc(sample, `typed element ${wrong} is no value`, typed([values[0], wrong, values[0], values[0]]), {
        ...refused,
        ...(index === 0 && { words: 'out of range' }),
      }),
    ),
  ]
}
