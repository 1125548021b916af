import type { BadInputCase, BadInputSuite, Refusal } from '../case.ts'
import { sendRaw } from './raw-http.ts'
import { observed, post, startWorkerTarget, validInputs, type WorkerContext } from './worker-target.ts'

type Case = BadInputCase<WorkerContext>
type Change = Record<string, unknown>
type Headers = Record<string, string | undefined>

const binaryHeader = 'inference-header-content-length'

function body(name: string, text: string | Uint8Array, expected: Refusal, headers: Headers = {}): Case {
  return { name, expected, run: async (context, signal) => observed(await post(context, text, headers, signal)) }
}

/** A good request with one input changed (or, with undefined, left out) and more members beside `inputs`. */
function changed(name: string, input: string, change: Change | undefined, expected: Refusal, more: Change = {}): Case {
  const inputs = validInputs()
  if (change === undefined) delete inputs[input]
  else inputs[input] = { ...inputs[input], ...change }
  return body(name, JSON.stringify({ inputs: Object.values(inputs), ...more }), expected)
}

/** A good request in which the text of one input's data is replaced by something JSON.stringify would not write. */
function rawData(name: string, input: string, shape: number[], data: string, expected: Refusal): Case {
  const inputs = validInputs()
  inputs[input] = { ...inputs[input], shape, data: 'DATA' }
  return body(name, JSON.stringify({ inputs: Object.values(inputs) }).replace('"DATA"', data), expected)
}

/** A good request with one input binary: `size` is what it says of itself, `tail` what follows the JSON. */
function binary(
  name: string,
  input: string,
  size: unknown,
  tail: Uint8Array,
  expected: Refusal,
  change: Change = {},
): Case {
  const { data, ...rest } = validInputs()[input] ?? {}
  const inputs = { ...validInputs(), [input]: { ...rest, parameters: { binary_data_size: size }, ...change } }
  const head = Buffer.from(JSON.stringify({ inputs: Object.values(inputs) }))
  return body(`${name} (${typeof data})`, Buffer.concat([head, tail]), expected, {
    [binaryHeader]: String(head.byteLength),
  })
}

function head(name: string, target: string, expected: Refusal, headers: Headers = {}): Case {
  const text = JSON.stringify({ inputs: Object.values(validInputs()) })
  return {
    name,
    expected,
    run: async (context, signal) => observed(await post(context, text, headers, signal, target)),
  }
}

function raw(name: string, bytes: string | Uint8Array, expected: Refusal): Case {
  return {
    name,
    expected,
    run: async (context, signal) => observed(await sendRaw(context, Buffer.from(bytes), signal)),
  }
}

const good = JSON.stringify({ inputs: Object.values(validInputs()) })
const infer = 'POST /v2/models/echo/infer'
const words = (...lengths: number[]) =>
  Buffer.concat(lengths.map((length) => Buffer.from(Uint32Array.of(length).buffer)))
const bad = (message: string | RegExp): Refusal => ({ status: 400, message })
const unsupported = (message: string): Refusal => ({ status: 501, message })

const jsonCases: Case[] = [
  body('no body', '', bad('the body is empty')),
  body('space', ' ', bad('not valid JSON')),
  body('half of a body', good.slice(0, 100), bad('not valid JSON')),
  body('text behind the JSON', `${good}x`, bad('not valid JSON')),
  body('two values', `${good}${good}`, bad('not valid JSON')),
  body('single quotes', good.replaceAll('"', "'"), bad('not valid JSON')),
  body('a byte order mark', `\ufeff${good}`, bad('not valid JSON')),
  body('UTF-16', Buffer.from(good, 'utf16le'), bad('not valid JSON')),
  body(
    'bytes that are not UTF-8',
    Buffer.concat([Buffer.from('{"id":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}')]),
    bad('not UTF-8'),
  ),
  body(
    'an overlong encoding',
    Buffer.concat([Buffer.from('{"id":"'), Buffer.of(0xc0, 0x80), Buffer.from('"}')]),
    bad('not UTF-8'),
  ),
  body('null', 'null', bad('not an inference request')),
  body('a number', '1', bad('not an inference request')),
  body('an array', '[]', bad('not an inference request')),
  body('an empty object', '{}', bad('inputs')),
  body('no inputs in the list', '{"inputs":[]}', bad('inputs')),
  body('inputs as an object', '{"inputs":{}}', bad('inputs')),
  body('an input that is null', '{"inputs":[null]}', bad('inputs.0')),
  body('257 inputs', `{"inputs":[${Array(257).fill('{"data":[]}').join()}]}`, bad('more than 256 inputs')),
  body(
    '300 inputs without data',
    `{"inputs":[${Array(300).fill('{"name":"x","datatype":"FP32","shape":[1]}').join()}]}`,
    bad('inputs'),
  ),
  body('500 000 brackets', '['.repeat(500_000), bad('nested too deeply')),
  body('data of 500 000 brackets', `{"inputs":[{"data":${'['.repeat(500_000)}`, bad('not valid JSON')),
  body(
    'data of 100 000 closed brackets',
    `{"inputs":[{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`,
    bad('nested too deeply'),
  ),
  body('100 000 objects beside the inputs', `{"x":[${'{},'.repeat(600_000)}{}]}`, bad('outside of tensor data')),
  body('an endless string', `{"id":"${'x'.repeat(1_900_000)}`, bad('not valid JSON')),
  body('an id of 2000 characters', JSON.stringify({ ...JSON.parse(good), id: 'x'.repeat(2000) }), bad('id')),
  changed('an id that is a number', 'f', {}, bad('id'), { id: 7 }),
  changed('parameters as a list', 'f', {}, bad('parameters'), { parameters: [] }),
  changed('a parameter that is an object', 'f', {}, bad('parameters'), { parameters: { a: {} } }),
  body('the key data written with an escape', good.replace('"data"', '"d\\u0061ta"'), bad('inputs.0.data')),
  body('data that is a number', good.replace('[1,2,3,4]', '5'), bad('"data" of an input must be an array')),
  body('data that is a string', good.replace('[1,2,3,4]', '"AAAA"'), bad('"data" of an input must be an array')),
  body('the prototype as a key', good.replace('"name":"f"', '"__proto__":{"name":"f"}'), bad('inputs.0.name')),
]

const inputCases: Case[] = [
  changed('a missing input', 'f', undefined, bad('missing input "f"')),
  changed('an unknown input', 'f', { name: 'nope' }, bad('input "nope" is not an input of the model')),
  changed('an input twice', 'i', { ...validInputs().u }, bad('input "u" is given twice')),
  changed('a name that is a number', 'f', { name: 1 }, bad('inputs.0.name')),
  changed('an empty name', 'f', { name: '' }, bad('inputs.0.name')),
  changed('a name of 5000 characters', 'f', { name: 'f'.repeat(5000) }, bad('inputs.0.name')),
  changed('a wrong datatype', 'f', { datatype: 'FP64' }, bad('input "f": the model takes datatype FP32')),
  changed('an unknown datatype', 'f', { datatype: 'float' }, bad('input "f": the model takes datatype FP32')),
  changed('a datatype in small letters', 'f', { datatype: 'fp32' }, bad('input "f": the model takes datatype FP32')),
  changed('BF16', 'h', { datatype: 'BF16' }, unsupported('input "h": datatype BF16 is not supported')),
  changed('no shape', 'f', { shape: undefined }, bad('inputs.0.shape')),
  changed('a shape that is a number', 'f', { shape: 4 }, bad('inputs.0.shape')),
  changed('a negative dimension', 'f', { shape: [-1, 2] }, bad('inputs.0.shape')),
  changed('half a dimension', 'f', { shape: [1.5, 2] }, bad('inputs.0.shape')),
  changed('a dimension as text', 'f', { shape: ['2', 2] }, bad('inputs.0.shape')),
  changed('a dimension of 2^53', 'f', { shape: [2 ** 53, 2] }, bad('inputs.0.shape')),
  changed('a shape of 65 dimensions', 'f', { shape: Array(65).fill(1) }, bad('inputs.0.shape')),
  changed('a shape of 40 dimensions', 'f', { shape: Array(40).fill(1) }, bad('more than 32 dimensions')),
  changed('a wrong rank', 'f', { shape: [4] }, bad('input "f": shape does not fit')),
  changed('a wrong fixed dimension', 'f', { shape: [1, 4] }, bad('input "f": shape does not fit')),
  changed('a shape of 2^50 elements', 'f', { shape: [2 ** 49, 2] }, bad('input "f": shape has too many elements')),
  changed(
    'a shape of a million elements with data of four',
    'f',
    { shape: [500_000, 2] },
    bad('input "f": data has fewer elements'),
  ),
  changed('too little data', 'f', { data: [1, 2, 3] }, bad('input "f": data has fewer elements')),
  changed('too much data', 'f', { data: [1, 2, 3, 4, 5] }, bad('input "f": data has more elements')),
  changed('no data', 'f', { data: undefined }, bad('input "f" has neither data nor binary_data_size')),
  changed('empty data', 'f', { data: [] }, bad('input "f": data has fewer elements')),
  changed('ragged rows', 'f', { data: [[1, 2, 3], [4]] }, bad('nested data does not have its shape')),
  changed(
    'rows for columns',
    'f',
    {
      shape: [3, 2],
      data: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    },
    bad('nested data does not have its shape'),
  ),
  changed('a row among numbers', 'f', { data: [1, 2, [3, 4]] }, bad('nested data does not have its shape')),
  changed('data nested too deep for its shape', 'i', { data: [[1, 2]] }, bad('nested data does not have its shape')),
  changed('a string among numbers', 'f', { data: [1, 2, 3, '4'] }, bad('input "f": element 3 is not a JSON number')),
  changed('null among numbers', 'f', { data: [1, null, 3, 4] }, bad('input "f": element 1 is not a JSON number')),
  changed('an object among numbers', 'f', { data: [1, {}, 3, 4] }, bad('input "f": element 1 is not a JSON number')),
  changed('true among numbers', 'u', { data: [true] }, bad('input "u": element 0 is not a JSON number')),
  changed('a number among booleans', 'b', { data: [1] }, bad('input "b": element 0 is not true or false')),
  changed('a number among strings', 's', { data: [1] }, bad('input "s": element 0 is not a JSON string')),
  changed('256 for UINT8', 'u', { data: [256] }, bad('input "u": element 0 is out of the range')),
  changed('-1 for UINT8', 'u', { data: [-1] }, bad('input "u": element 0 is out of the range')),
  changed('1.5 for INT64', 'i', { data: [1, 1.5] }, bad('input "i": element 1 is not an integer')),
  changed('65520 for FP16', 'h', { data: [65_520, 1] }, bad('input "h": element 0 is out of the range')),
  changed('1e39 for FP32', 'f', { data: [1e39, 1, 1, 1] }, bad('input "f": element 0 is out of the range')),
  changed('a NUL in a string', 's', { data: ['a\0b'] }, bad('input "s": element 0 holds a NUL')),
  rawData('2^63 for INT64', 'i', [1], '[9223372036854775808]', bad('input "i": element 0 is out of the range')),
  rawData('an integer of 400 digits', 'i', [1], `[${'9'.repeat(400)}]`, bad('input "i": element 0 is not an integer')),
  rawData('1e400 for FP32', 'f', [1, 2], '[1e400,1]', bad('input "f": element 0 is out of the range')),
  rawData('NaN', 'f', [1, 2], '[NaN,1]', bad('input "f": element 0 is not a JSON number')),
  rawData('Infinity', 'f', [1, 2], '[1,-Infinity]', bad('input "f": element 1 is not a JSON number')),
  rawData('a leading zero', 'f', [1, 2], '[01,1]', bad('input "f": element 0 is not a JSON number')),
  rawData('hexadecimal', 'i', [1], '[0x10]', bad('input "i": data is not valid JSON')),
  rawData('a comma too many', 'i', [1], '[1,]', bad('input "i": data has more elements')),
  rawData('no comma', 'i', [2], '[1 2]', bad('input "i": data is not valid JSON')),
  rawData('a lone surrogate', 's', [1], '["\\ud800"]', bad('input "s": element 0 is not a valid JSON string')),
  rawData('a raw line break in a string', 's', [1], '["a\nb"]', bad('input "s": element 0 is not a valid JSON string')),
  changed('an unknown output', 'f', {}, bad('output "nope" is not an output of the model'), {
    outputs: [{ name: 'nope' }],
  }),
  changed('an output twice', 'f', {}, bad('output "fOut" is asked for twice'), {
    outputs: [{ name: 'fOut' }, { name: 'fOut' }],
  }),
  changed('300 outputs', 'f', {}, bad('outputs'), { outputs: Array(300).fill({ name: 'fOut' }) }),
  changed('binary_data as text', 'f', {}, bad('binary_data must be true or false'), {
    outputs: [{ name: 'fOut', parameters: { binary_data: 'yes' } }],
  }),
  changed('binary_data_output as a number', 'f', {}, bad('binary_data_output must be'), {
    parameters: { binary_data_output: 1 },
  }),
  changed('classification', 'f', {}, unsupported('classification'), {
    outputs: [{ name: 'fOut', parameters: { classification: 3 } }],
  }),
  changed('shared memory', 'f', { parameters: { shared_memory_region: 'r' } }, unsupported('shared_memory_region')),
  changed('a sequence', 'f', {}, unsupported('sequence_id'), { parameters: { sequence_id: 7 } }),
]

const binaryCases: Case[] = [
  binary('a binary size too small', 'f', 12, Buffer.alloc(16), bad('input "f": binary_data_size does not match')),
  binary('a binary size too large', 'f', 20, Buffer.alloc(20), bad('input "f": binary_data_size does not match')),
  binary('a negative binary size', 'f', -16, Buffer.alloc(16), bad('input "f": binary_data_size must be')),
  binary('a binary size of 2^60', 's', 2 ** 60, Buffer.alloc(16), bad('input "s": binary_data_size must be')),
  binary('a binary size as text', 'f', '16', Buffer.alloc(16), bad('input "f": binary_data_size must be')),
  binary('a body that ends early', 'f', 16, Buffer.alloc(15), bad('input "f": the body ends before')),
  binary('a body that goes on', 'f', 16, Buffer.alloc(17), bad('the body goes on behind')),
  binary('data and binary data', 'f', 16, Buffer.alloc(16), bad('input "f" has both data and binary_data_size'), {
    data: [1, 2, 3, 4],
  }),
  binary('a binary BOOL of 2', 'b', 1, Buffer.of(2), bad('input "b": a BOOL byte is neither 0 nor 1')),
  binary('a string longer than the data', 's', 8, words(1000, 0), bad('input "s": a BYTES element reaches past')),
  binary('a string of 4 GiB', 's', 4, words(2 ** 32 - 1), bad('input "s": a BYTES element reaches past')),
  binary('a length cut off', 's', 3, Buffer.alloc(3), bad('input "s": a length of the BYTES data is cut off')),
  binary('too few strings', 's', 4, words(0), bad('input "s": data has fewer elements'), { shape: [2] }),
  binary('too many strings', 's', 8, words(0, 0), bad('input "s": data has more elements')),
  binary(
    'a string that is not UTF-8',
    's',
    5,
    Buffer.concat([words(1), Buffer.of(0xff)]),
    unsupported('input "s": element 0 is not UTF-8'),
  ),
  binary(
    'a string with NUL',
    's',
    5,
    Buffer.concat([words(1), Buffer.of(0)]),
    unsupported('input "s": element 0 holds a NUL'),
  ),
  body('a JSON length beyond the body', good, bad('larger than the body'), { [binaryHeader]: '999999' }),
  body('a negative JSON length', good, bad('must be a whole number'), { [binaryHeader]: '-1' }),
  body('a JSON length in words', good, bad('must be a whole number'), { [binaryHeader]: 'all' }),
  body('a JSON length of 30 digits', good, bad('must be a whole number'), { [binaryHeader]: '9'.repeat(30) }),
  body('a JSON length in the middle', good, bad('not valid JSON'), { [binaryHeader]: '20' }),
  body('a raw request to a model of several inputs', Buffer.alloc(16), bad('a model with one input'), {
    [binaryHeader]: '0',
  }),
  body(
    'a binary size without the header',
    JSON.stringify({
      inputs: Object.values({
        ...validInputs(),
        f: { name: 'f', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
      }),
    }),
    bad('needs the header Inference-Header-Content-Length'),
  ),
]

const headCases: Case[] = [
  head('the root', 'POST /', { status: 404 }),
  head('version 1 of the protocol', 'POST /v1/models/echo:predict', { status: 404 }),
  head('another model', 'POST /v2/models/other/infer', { status: 404, message: 'no such model' }),
  head('another version', 'POST /v2/models/echo/versions/2/infer', { status: 404, message: 'no such version' }),
  head('a path out of the tree', 'POST /v2/models/../../etc/passwd', { status: 404 }),
  head('an encoded path out of the tree', 'POST /v2/models/echo/%2e%2e%2finfer', { status: 404 }),
  head('a broken encoding', 'POST /v2/models/%zz/infer', bad('not properly encoded')),
  head('a whole URL', 'POST http://elsewhere/v2/models/echo/infer', bad('must be a path')),
  head('GET of infer', 'GET /v2/models/echo/infer', { status: 405, message: 'POST' }),
  head('PUT of infer', 'PUT /v2/models/echo/infer', { status: 405 }),
  head('POST of metadata', 'POST /v2/models/echo', { status: 405, message: 'GET' }),
  head('DELETE of a model', 'DELETE /v2/models/echo', { status: 405 }),
  head('load of a model', 'POST /v2/repository/models/echo/load', unsupported('repository')),
  head('generate', 'POST /v2/models/echo/generate', unsupported('generate')),
  head('a gzip body', infer, { status: 415, message: 'compressed' }, { 'content-encoding': 'gzip' }),
  head('an unknown encoding', infer, { status: 415 }, { 'content-encoding': 'x' }),
  head('XML', infer, { status: 415 }, { 'content-type': 'application/xml' }),
  head('a form with files', infer, { status: 415 }, { 'content-type': 'multipart/form-data; boundary=x' }),
  raw('no length', `${infer} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, { status: 411 }),
  head(
    'a length over the limit',
    infer,
    { status: 413, message: 'limits.requestBytes' },
    { 'content-length': '999999999' },
  ),
  head('a timeout in words', infer, bad('x-hansa-timeout-ms'), { 'x-hansa-timeout-ms': 'soon' }),
  head('a negative timeout', infer, bad('x-hansa-timeout-ms'), { 'x-hansa-timeout-ms': '-5' }),
  head('a timeout of no time', infer, { status: 504 }, { 'x-hansa-timeout-ms': '0' }),
  head('an expectation', infer, { status: 417 }, { expect: 'miracles' }),
  head('a head of 100 KB', infer, { status: 431 }, { 'x-long': 'x'.repeat(100_000) }),
  head('two lengths', infer, bad('not a valid HTTP request'), { 'content-length': '5\r\ncontent-length: 6' }),
  head('a length and chunks', infer, bad('not a valid HTTP request'), { 'transfer-encoding': 'chunked' }),
  head('a length with a sign', infer, bad('not a valid HTTP request'), { 'content-length': '+5' }),
  head('a header with a line break in it', infer, bad('not a valid HTTP request'), { 'x-a': 'b\nc' }),
  head('a header name with a space', infer, bad('not a valid HTTP request'), { 'x a': 'b' }),
  raw('no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', bad('not a valid HTTP request')),
  raw('HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', bad('not a valid HTTP request')),
  raw(
    'a chunk of nonsense length',
    `${infer} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
    bad('not a valid HTTP request'),
  ),
  raw(
    'chunks over the limit',
    `${infer} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(40)}0\r\n\r\n`,
    { status: 413 },
  ),
  raw('a body that stops coming', `${infer} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{"inputs"`, {
    status: 504,
  }),
]

/** Requests that a worker must refuse with a reason, whoever sends them. */
export const suite: BadInputSuite<WorkerContext> = {
  name: 'worker requests',
  cases: [...jsonCases, ...inputCases, ...binaryCases, ...headCases],
  start: startWorkerTarget,
}
