import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatherModel, growModel, identityModel, type OnnxType, twoWayModel } from '../../builders/onnx-model.ts'
import { call, framed, inferBinary, inferJson, inferPath, outputs } from './client.ts'
import { startWorker, type TestWorker } from './worker.ts'

const bytesOf = (array: ArrayBufferView) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

describe('every datatype passes through the runtime unchanged', () => {
  const cases: [OnnxType, string, Uint8Array][] = [
    ['BOOL', '[true,false,true]', bytesOf(Uint8Array.of(1, 0, 1))],
    ['INT8', '[-128,0,127]', bytesOf(Int8Array.of(-128, 0, 127))],
    ['INT16', '[-32768,0,32767]', bytesOf(Int16Array.of(-32_768, 0, 32_767))],
    ['INT32', '[-2147483648,0,2147483647]', bytesOf(Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1))],
    [
      'INT64',
      '[-9223372036854775808,9007199254740993,9223372036854775807]',
      bytesOf(BigInt64Array.of(-(2n ** 63n), 9_007_199_254_740_993n, 2n ** 63n - 1n)),
    ],
    ['UINT8', '[0,1,255]', bytesOf(Uint8Array.of(0, 1, 255))],
    ['UINT16', '[0,1,65535]', bytesOf(Uint16Array.of(0, 1, 65_535))],
    ['UINT32', '[0,1,4294967295]', bytesOf(Uint32Array.of(0, 1, 4_294_967_295))],
    [
      'UINT64',
      '[0,9007199254740993,18446744073709551615]',
      bytesOf(BigUint64Array.of(0n, 9_007_199_254_740_993n, 2n ** 64n - 1n)),
    ],
    ['FP16', '[1.5,-65504,0.000030517578125]', bytesOf(Float16Array.of(1.5, -65_504, 2 ** -15))],
    [
      'FP32',
      '[1.5,-3.4028234663852886e+38,1e-45]'.replace('1e-45', '1.401298464324817e-45'),
      bytesOf(Float32Array.of(1.5, -3.4028234663852886e38, 1e-45)),
    ],
    ['FP64', '[1.5,-1.7976931348623157e+308,5e-324]', bytesOf(Float64Array.of(1.5, -Number.MAX_VALUE, 5e-324))],
    ['BYTES', '["","grüß \\"Gott\\"","😀"]', framed('', 'grüß "Gott"', '😀')],
  ]

  test.each(cases)('%s', async (datatype, json, bytes) => {
    const worker = await startWorker(identityModel(datatype))
    try {
      const metadata = await call(worker.url, '/v2/models/echo')
      expect(metadata.json.inputs).toEqual([{ name: 'x', datatype, shape: [-1] }])
      const shape = [3]
      // Text into text, so that no JSON number passes through a double on the way.
      const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[3],"data":${json}}]}`
      const response = await fetch(worker.url + inferPath, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect(await response.text()).toBe(
        `{"model_name":"echo","model_version":"1","outputs":[{"name":"y","datatype":"${datatype}","shape":[3],"data":${json}}]}`,
      )
      const binary = await inferBinary(
        worker.url,
        {
          inputs: [{ name: 'x', datatype, shape, parameters: { binary_data_size: bytes.byteLength } }],
          outputs: [{ name: 'y', parameters: { binary_data: true } }],
        },
        [bytes],
      )
      expect(outputs(binary)).toEqual([
        { name: 'y', datatype, shape, parameters: { binary_data_size: bytes.byteLength } },
      ])
      expect(binary.binary).toEqual(Buffer.from(bytes))
    } finally {
      await worker.close()
    }
  })

  test('scalars and empty tensors', async () => {
    const scalar = await startWorker(identityModel('INT64', []))
    const empty = await startWorker(identityModel('FP32', ['n', 3]))
    try {
      expect(outputs(await inferJson(scalar.url, [{ name: 'x', datatype: 'INT64', shape: [], data: [7] }]))).toEqual([
        { name: 'y', datatype: 'INT64', shape: [], data: [7] },
      ])
      expect(outputs(await inferJson(empty.url, [{ name: 'x', datatype: 'FP32', shape: [0, 3], data: [] }]))).toEqual([
        { name: 'y', datatype: 'FP32', shape: [0, 3], data: [] },
      ])
    } finally {
      await scalar.close()
      await empty.close()
    }
  })
})

describe('a model of two inputs', () => {
  let worker: TestWorker
  beforeAll(async () => {
    worker = await startWorker(twoWayModel())
  })
  afterAll(async () => worker?.close())

  const numbers = {
    name: 'numbers',
    datatype: 'FP32',
    shape: [2, 2],
    data: [
      [1, 2],
      [3, 4],
    ],
  }
  const words = { name: 'words', datatype: 'BYTES', shape: [2], data: ['a', 'bc'] }
  const floats = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)

  test.each<[string, object]>([
    ['/v2', { name: 'hansa-worker', extensions: ['binary_tensor_data'] }],
    ['/v2/health/live', { live: true }],
    ['/v2/health/ready', { live: true, ready: true }],
    ['/v2/models', { models: ['echo'] }],
    ['/v2/models/echo/ready', { name: 'echo', ready: true }],
    ['/v2/models/echo/versions/1/ready', { name: 'echo', ready: true }],
    [
      '/v2/models/echo/versions/1',
      {
        name: 'echo',
        versions: ['1'],
        platform: 'onnxruntime_onnx',
        inputs: [
          { name: 'numbers', datatype: 'FP32', shape: [-1, 2] },
          { name: 'words', datatype: 'BYTES', shape: [-1] },
        ],
        outputs: [
          { name: 'sameWords', datatype: 'BYTES', shape: [-1] },
          { name: 'sameNumbers', datatype: 'FP32', shape: [-1, 2] },
        ],
        parameters: { execution_provider: 'CPU' },
      },
    ],
  ])('GET %s', async (path, wanted) => {
    const answer = await call(worker.url, path)
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject(wanted)
    const head = await fetch(worker.url + path, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('id, request id and trace context come back; parameters are accepted', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const answer = await inferJson(
      worker.url,
      [words, { ...numbers, parameters: { any: 1 } }],
      { id: 'é-1', parameters: { priority: 3 } },
      {
        headers: { 'x-request-id': 'abc', traceparent },
      },
    )
    expect(answer.json).toMatchObject({ model_name: 'echo', model_version: '1', id: 'é-1' })
    expect(answer.headers.get('x-request-id')).toBe('abc')
    expect(answer.headers.get('traceparent')).toBe(traceparent)
    expect(outputs(answer).map((output) => output.name)).toEqual(['sameWords', 'sameNumbers'])
  })

  test('only the outputs asked for come back, in that order', async () => {
    const one = await inferJson(worker.url, [numbers, words], { outputs: [{ name: 'sameNumbers' }] })
    expect(outputs(one)).toEqual([{ name: 'sameNumbers', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }])
    const both = await inferJson(worker.url, [numbers, words], {
      outputs: [{ name: 'sameNumbers' }, { name: 'sameWords' }],
    })
    expect(outputs(both).map((output) => output.name)).toEqual(['sameNumbers', 'sameWords'])
  })

  test('one input as JSON, one binary; one output binary, one as JSON', async () => {
    const { data, ...head } = numbers
    const answer = await inferBinary(
      worker.url,
      {
        inputs: [words, { ...head, parameters: { binary_data_size: 16 } }],
        parameters: { binary_data_output: true },
        outputs: [{ name: 'sameNumbers' }, { name: 'sameWords', parameters: { binary_data: false } }],
      },
      [floats],
    )
    expect(answer.headers.get('content-type')).toBe('application/octet-stream')
    expect(outputs(answer)).toEqual([
      { name: 'sameNumbers', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
      { name: 'sameWords', datatype: 'BYTES', shape: [2], data: ['a', 'bc'] },
    ])
    expect(answer.binary).toEqual(floats)
    expect(data).toBeDefined()
  })

  test('several binary inputs and outputs follow each other in order', async () => {
    const answer = await inferBinary(
      worker.url,
      {
        inputs: [
          { name: 'words', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 11 } },
          { name: 'numbers', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
        ],
        parameters: { binary_data_output: true },
      },
      [framed('a', 'bc'), floats],
    )
    expect(outputs(answer).map((output) => output.name)).toEqual(['sameWords', 'sameNumbers'])
    expect(answer.binary).toEqual(Buffer.concat([framed('a', 'bc'), floats]))
  })

  test('a large JSON body and answer go through the codec threads and stay exact', async () => {
    const count = 60_000
    const values = Array.from({ length: 2 * count }, (_, index) => Math.fround(index / 7 - 3))
    const answer = await inferJson(worker.url, [
      { name: 'numbers', datatype: 'FP32', shape: [count, 2], data: values },
      words,
    ])
    expect(outputs(answer)[1]?.data).toEqual(values)
    const many = Array.from({ length: 20_000 }, (_, index) => `wort "${index}" ü`)
    const wordy = await inferJson(worker.url, [
      numbers,
      { name: 'words', datatype: 'BYTES', shape: [many.length], data: many },
    ])
    expect(outputs(wordy)[0]?.data).toEqual(many)
  })

  test("curl's own content type is taken", async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await inferJson(worker.url, [numbers, words], {}, { headers })).status).toBe(200)
  })

  test('a chunked body is read', async () => {
    const text = JSON.stringify({ inputs: [numbers, words] })
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < text.length; at += 50) controller.enqueue(Buffer.from(text.slice(at, at + 50)))
        controller.close()
      },
    })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(worker.url + inferPath, { method: 'POST', body, duplex: 'half', headers })
    expect(response.status).toBe(200)
  })

  test('the metrics count what was answered, without names from requests', async () => {
    await inferJson(worker.url, [numbers, words])
    await inferJson(worker.url, [{ ...numbers, name: 'secret-name' }, words])
    const metrics = await (await fetch(`${worker.probesUrl}/metrics`)).text()
    expect(metrics).toMatch(/nv_inference_request_success\{model="echo",version="1"\} [1-9]/)
    expect(metrics).toMatch(/nv_inference_request_failure\{model="echo",version="1"\} [1-9]/)
    for (const name of ['count', 'exec_count', 'queue_duration_us', 'pending_request_count']) {
      expect(metrics).toContain(`nv_inference_${name}{model="echo",version="1"}`)
    }
    expect(metrics).toContain('hansa_worker_execution_provider{provider="CPU"} 1')
    expect(metrics).toContain('hansa_worker_request_duration_seconds_count')
    expect(metrics).not.toContain('secret-name')
  })
})

test('a raw binary request is the only input, its dynamic dimension taken from the size', async () => {
  const worker = await startWorker(identityModel('FP32', ['n', 2]))
  try {
    const body = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer)
    const answer = await call(worker.url, inferPath, { body, headers: { 'inference-header-content-length': '0' } })
    expect(outputs(answer)).toMatchObject([{ name: 'y', shape: [3, 2], parameters: { binary_data_size: 24 } }])
    expect(answer.binary).toEqual(body)
    const odd = await call(worker.url, inferPath, {
      body: body.subarray(4),
      headers: { 'inference-header-content-length': '0' },
    })
    expect(odd.status).toBe(400)
  } finally {
    await worker.close()
  }
})

test('NaN goes out binary and is refused as JSON', async () => {
  const worker = await startWorker(identityModel('FP32'))
  try {
    const bytes = Buffer.from(Float32Array.of(1, Number.NaN).buffer)
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }]
    const json = await inferBinary(worker.url, { inputs }, [bytes])
    expect(json.status).toBe(400)
    expect(json.json.error).toContain('ask for it with binary_data: true')
    const binary = await inferBinary(worker.url, { inputs, parameters: { binary_data_output: true } }, [bytes])
    expect(binary.binary).toEqual(bytes)
  } finally {
    await worker.close()
  }
})

test('an input that the model cannot run answers an opaque 500 and the next one runs', async () => {
  const worker = await startWorker(gatherModel())
  try {
    const infer = (index: number) =>
      inferJson(worker.url, [{ name: 'index', datatype: 'INT64', shape: [1], data: [index] }])
    const failed = await infer(987_654)
    expect(failed.status).toBe(500)
    expect(failed.json).toEqual({ error: 'the model failed on this input' })
    expect(outputs(await infer(1))[0]?.data).toEqual([20])
  } finally {
    await worker.close()
  }
})

test('an answer over limits.responseBytes is refused, as bytes and as text', async () => {
  const worker = await startWorker(growModel(), { limits: { responseBytes: 100_000 } })
  try {
    const infer = (count: number) =>
      inferJson(worker.url, [{ name: 'shape', datatype: 'INT64', shape: [1], data: [count] }])
    const large = await infer(30_000)
    expect([large.status, large.json.error]).toEqual([500, expect.stringContaining('limits.responseBytes')])
    const text = await infer(24_000 * 2 + 2_000)
    expect(text.status).toBe(500)
    expect(outputs(await infer(3))[0]?.data).toEqual([0, 0, 0])
  } finally {
    await worker.close()
  }
})
