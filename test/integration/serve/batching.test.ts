import { readFile } from 'node:fs/promises'
import { kill } from 'node:process'
import { describe, expect, test } from 'vitest'
import {
  centredModel,
  gatherRowsModel,
  identityModel,
  onnxModel,
  rowsModel,
  runningSumModel,
  sameForAllModel,
  totalModel,
  twoWayModel,
} from '../../builders/onnx-model.ts'
import { call, inferJson, outputs } from './client.ts'
import { startWorker, type TestWorker, type WorkerOptions } from './worker.ts'

const batching = { maxSize: 16, maxDelayMilliseconds: 5 }
const digits = new URL('../../../examples/models/digits/v1/model.onnx', import.meta.url)

async function withWorker(model: Uint8Array, use: (worker: TestWorker) => Promise<void>, options: WorkerOptions = {}) {
  const worker = await startWorker(model, { batching, ...options })
  try {
    await use(worker)
  } finally {
    await worker.close()
  }
}

async function parameters(worker: TestWorker): Promise<Record<string, unknown>> {
  const { json } = await call(worker.url, '/v2/models/echo')
  // The model's metadata, whose parameters are an object.
  return json.parameters as Record<string, unknown>
}

async function metric(worker: TestWorker, name: string): Promise<number> {
  const line = (await worker.registry.metrics()).split('\n').find((one) => one.startsWith(`${name}{`))
  return Number(line?.split(' ').at(-1))
}

/** Quantises with the range of all rows: what one row becomes depends on the others. */
const quantised = onnxModel({
  nodes: [
    { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 'scale', 'zero'] },
    { op: 'DequantizeLinear', inputs: ['q', 'scale', 'zero'], outputs: ['y'] },
  ],
  inputs: [{ name: 'x', type: 'FP32', shape: ['n', 4] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['n', 4] }],
})

describe('the check of the batch axis', () => {
  test.each<[string, () => Promise<Buffer> | Buffer]>([
    ['the digits model', () => readFile(digits)],
    ['rows of numbers', () => rowsModel()],
    ['rows of any length', () => rowsModel('length')],
    ['rows of half-precision numbers', () => rowsModel(3, 'FP16')],
    ['rows of strings', () => identityModel('BYTES', ['n', 2])],
    ['single numbers', () => identityModel('INT64', ['n'])],
  ])('lets %s be joined', async (_, model) => {
    await withWorker(await model(), async (worker) => {
      expect(await parameters(worker)).toMatchObject({ batching: 'on', max_batch_size: 16 })
      expect(await metric(worker, 'hansa_worker_batching')).toBe(1)
    })
  })

  test.each<[string, () => Buffer, string]>([
    ['a mean over the rows', centredModel, 'depends on what it is joined with'],
    ['a running sum over the rows', runningSumModel, 'depends on what it is joined with'],
    ['a total of the rows', totalModel, 'no output has a free first dimension'],
    ['quantisation over all rows', () => quantised, 'depends on what it is joined with'],
    ['answers that are all alike', sameForAllModel, 'proves nothing'],
    ['a fixed first dimension', () => identityModel('FP32', [1, 4]), 'input "x" is not free'],
    ['a scalar input', () => identityModel('FP32', []), 'input "x" is not free'],
  ])('keeps %s apart and says why', async (_, model, reason) => {
    await withWorker(model(), async (worker) => {
      const { batching: state, batching_reason: why } = await parameters(worker)
      expect(state).toBe('off')
      expect(why).toContain(reason)
      expect(await metric(worker, 'hansa_worker_batching')).toBe(0)
    })
  })

  test('is not done where batching was not asked for', async () => {
    const worker = await startWorker(rowsModel())
    expect(await parameters(worker)).toEqual({ execution_provider: 'CPU' })
    await worker.close()
  })
})

/** Asks at once until some were run together; every round must be answered right. */
async function untilJoined(worker: TestWorker, round: () => Promise<void>): Promise<void> {
  for (let count = 0; count < 100; count++) {
    await round()
    const [rows, runs] = [
      await metric(worker, 'hansa_worker_batch_rows_sum'),
      await metric(worker, 'nv_inference_exec_count'),
    ]
    if (rows > runs) return
  }
  throw new Error('nothing was run together')
}

test('what runs together is answered to each as if alone', async () => {
  await withWorker(rowsModel('length'), async (worker) => {
    await untilJoined(worker, async () => {
      const shapes = Array.from({ length: 14 }, (_, index) => [1 + (index % 3), 1 + (index % 2)])
      const answers = shapes.map(async ([rows = 1, length = 1], index) => {
        const data = Array.from({ length: rows * length }, (_, at) => index * 100 + at)
        const answer = await inferJson(worker.url, [{ name: 'x', datatype: 'FP32', shape: [rows, length], data }])
        expect(outputs(answer)).toEqual([
          { name: 'y', datatype: 'FP32', shape: [rows, length], data: data.map((value) => 2 * value) },
        ])
      })
      await Promise.all(answers)
    })
  })
})

test('strings of different lengths come back to whom they belong', async () => {
  await withWorker(identityModel('BYTES', ['n', 2]), async (worker) => {
    await untilJoined(worker, async () => {
      const answers = Array.from({ length: 12 }, async (_, index) => {
        const data = ['x'.repeat(index), `über ${index}`]
        const answer = await inferJson(worker.url, [{ name: 'x', datatype: 'BYTES', shape: [1, 2], data }])
        expect(outputs(answer)[0]?.data).toEqual(data)
      })
      await Promise.all(answers)
    })
  })
})

test('in a batch that fails only the request fails that is at fault', async () => {
  await withWorker(gatherRowsModel(), async (worker) => {
    expect(await parameters(worker)).toMatchObject({ batching: 'on' })
    await untilJoined(worker, async () => {
      const answers = Array.from({ length: 12 }, async (_, index) => {
        const row = index === 5 ? 99 : index % 2
        const answer = await inferJson(worker.url, [{ name: 'index', datatype: 'INT64', shape: [1, 1], data: [row] }])
        if (row === 99) expect(answer.status).toBe(500)
        else expect(outputs(answer)[0]?.data).toEqual(row === 0 ? [10, 11] : [20, 21])
      })
      await Promise.all(answers)
    })
  })
})

test('inputs whose first dimensions are free but not the same run alone', async () => {
  await withWorker(twoWayModel(), async (worker) => {
    const answers = Array.from({ length: 8 }, async (_, index) => {
      const answer = await inferJson(worker.url, [
        { name: 'numbers', datatype: 'FP32', shape: [2, 2], data: [index, 1, 2, 3] },
        { name: 'words', datatype: 'BYTES', shape: [1], data: [`word ${index}`] },
      ])
      expect(outputs(answer).map(({ data }) => data)).toEqual([[`word ${index}`], [index, 1, 2, 3]])
    })
    await Promise.all(answers)
  })
})

test('as many sessions as CPUs come up, the worker is ready with the first, and a lost one comes back', async () => {
  await withWorker(
    rowsModel(),
    async (worker) => {
      await worker.allSessions
      const pids = worker.sessionPids()
      expect(new Set(pids).size).toBe(2)
      const [, second = 0] = pids
      kill(second, 'SIGKILL')
      await expect
        .poll(() => worker.sessionPids().length === 2 && !worker.sessionPids().includes(second), { timeout: 15_000 })
        .toBe(true)
      const answer = await inferJson(worker.url, [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }])
      expect(outputs(answer)[0]?.data).toEqual([2, 4])
    },
    { env: { HANSA_CPUS: '2' } },
  )
})
