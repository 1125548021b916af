import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { miniLmFolder } from '../builders/minilm.ts'
import { startWorker, type TestWorker } from '../integration/serve/worker.ts'
import type { ClientOrder } from './batching-gain/client.ts'
import type { RowInput } from './batching-gain/input.ts'
import type { RawLoad, RawOrder } from './batching-gain/raw.ts'

export const promise = {
  id: 'batching-gain',
  claim:
    'With eight callers batching serves more of a transformer than one request a run, comes near to what the cores can do, and costs a tiny model nothing',
  aim: 'MiniLM at 16 tokens: at least 1.15x unbatched and 0.7x the best of the bare runtime, which has all cores for itself and no limit on its batches; digits: at least 0.95x unbatched',
}

export type Effort = { rounds: number; seconds: number; warmSeconds: number }

const full: Effort = { rounds: 5, seconds: 6, warmSeconds: 2 }
const clients = 8
const batching = { maxSize: 32, maxDelayMilliseconds: 2 }
const rawRows = [1, 4, 8, 32]
const folder = new URL('./batching-gain/', import.meta.url)

type Subject = { name: 'MiniLM' | 'digits'; modelPath: string; inputs: readonly RowInput[] }
type Sample = { rate: number; p50: number; p99: number }
type Measured = { batched: Sample; unbatched: Sample; best: number; gain: number; share: number; rowsPerRun: number }

/**
 * Eight closed-loop clients in a process of their own ask one worker, with and without batching, in turn; in the same rounds as many
 * bare processes as there are cores run the model at several batch sizes without any server. All share this machine's cores.
 */
export async function run(
  report: (line: string) => void,
  effort: Effort = full,
): Promise<{ figures: string; holds: boolean }> {
  const cores = availableParallelism()
  report(
    `${clients} closed-loop clients, ${cores} cores for clients, server and sessions; load average ${loadavg()[0]?.toFixed(1)}`,
  )
  const miniLm = await measure(await miniLmSubject(), cores, effort, report)
  const digits = await measure(digitsSubject(), cores, effort, report)
  const figures = [
    `MiniLM at ${tokens} tokens ${words(miniLm)}`,
    `digits ${words(digits)}`,
    `${effort.rounds} rounds of ${effort.seconds} s each, ${cores} cores`,
  ]
  return { figures: figures.join('; '), holds: miniLm.gain >= 1.15 && miniLm.share >= 0.7 && digits.gain >= 0.95 }
}

function words({ batched, unbatched, best, gain, share, rowsPerRun }: Measured): string {
  const side = ({ rate, p50, p99 }: Sample) => `${rate.toFixed(0)}/s (p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms)`
  return `${side(batched)} batched by ${rowsPerRun.toFixed(1)}, ${side(unbatched)} unbatched: ${gain.toFixed(2)}x; ${share.toPrecision(2)}x of the bare runtime's best ${best.toFixed(0)}/s`
}

const tokens = 16

async function miniLmSubject(): Promise<Subject> {
  const row = (name: string, value: (index: number) => number): RowInput => {
    return {
      name,
      datatype: 'INT64',
      columns: tokens,
      values: Array.from({ length: tokens }, (_, index) => value(index)),
    }
  }
  const inputs = [
    row('input_ids', (index) => 1000 + 37 * index),
    row('attention_mask', () => 1),
    row('token_type_ids', () => 0),
  ]
  return { name: 'MiniLM', modelPath: join(await miniLmFolder(), 'model.onnx'), inputs }
}

function digitsSubject(): Subject {
  const values = Array.from({ length: 64 }, (_, index) => (index * 7) % 17)
  const modelPath = new URL('../../examples/models/digits/v2/model.onnx', import.meta.url).pathname
  return { name: 'digits', modelPath, inputs: [{ name: 'image', datatype: 'FP32', columns: 64, values }] }
}

async function measure(
  subject: Subject,
  cores: number,
  effort: Effort,
  report: (line: string) => void,
): Promise<Measured> {
  const bytes = await readFile(subject.modelPath)
  const options = { env: { HANSA_CPUS: String(cores) }, limits: { queueDepth: 64 } }
  const children: ChildProcess[] = []
  const workers: TestWorker[] = []
  const child = (name: string) => {
    const one = fork(new URL(name, folder), { serialization: 'advanced' })
    children.push(one)
    return one
  }
  try {
    const [batched, unbatched] = [await startWorker(bytes, { ...options, batching }), await startWorker(bytes, options)]
    workers.push(batched, unbatched)
    await Promise.all(workers.map((worker) => worker.allSessions))
    const client = child('client.ts')
    const raw = Array.from({ length: cores }, () => child('raw.ts'))
    await Promise.all(
      raw.map((one) => ask(one, { modelPath: subject.modelPath, inputs: subject.inputs } satisfies RawLoad)),
    )
    const load = async (worker: TestWorker, seconds: number): Promise<Sample> => {
      const path = '/v2/models/echo/infer'
      const order: ClientOrder = { url: worker.url, path, inputs: subject.inputs, clients, seconds }
      // The client answers with its sorted latencies in milliseconds.
      const latencies = (await ask(client, order)) as number[]
      return { rate: latencies.length / seconds, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
    }
    for (const worker of workers) await load(worker, effort.warmSeconds)
    const samples = { batched: [] as Sample[], unbatched: [] as Sample[] }
    const bare = rawRows.map((rows) => ({ rows, rates: [] as number[] }))
    const before = await runsOf(batched)
    for (let round = 0; round < effort.rounds; round++) {
      const turns = [
        async () => samples.batched.push(await load(batched, effort.seconds)),
        async () => samples.unbatched.push(await load(unbatched, effort.seconds)),
        async () => {
          for (const { rows, rates } of bare) {
            const order: RawOrder = { rows, seconds: effort.seconds / rawRows.length }
            const each = await Promise.all(raw.map((one) => ask(one, order)))
            rates.push(each.reduce<number>((sum, rate) => sum + Number(rate), 0))
          }
        },
      ]
      // Another order each round, so that nobody always runs after the same neighbour.
      for (let turn = 0; turn < turns.length; turn++) await turns[(turn + round) % turns.length]?.()
    }
    const after = await runsOf(batched)
    for (const { rows, rates } of bare) {
      report(`${subject.name}: bare runtime, ${cores} processes, batch ${rows}: ${median(rates).toFixed(0)} rows/s`)
    }
    const [ours, theirs] = [typical(samples.batched), typical(samples.unbatched)]
    const best = Math.max(...bare.map(({ rates }) => median(rates)))
    const gain = median(samples.batched.map(({ rate }, index) => rate / (samples.unbatched[index]?.rate ?? Number.NaN)))
    const rowsPerRun = (after.rows - before.rows) / (after.runs - before.runs)
    const result = { batched: ours, unbatched: theirs, best, gain, share: ours.rate / best, rowsPerRun }
    report(`${subject.name}: ${words(result)}`)
    return result
  } finally {
    for (const one of children) one.kill()
    for (const worker of workers) await worker.close()
  }
}

async function runsOf(worker: TestWorker): Promise<{ rows: number; runs: number }> {
  const lines = (await worker.registry.metrics()).split('\n')
  const value = (name: string) =>
    Number(
      lines
        .find((line) => line.startsWith(`${name}{`))
        ?.split(' ')
        .at(-1),
    )
  return { rows: value('hansa_worker_batch_rows_sum'), runs: value('hansa_worker_batch_rows_count') }
}

async function ask(child: ChildProcess, order: ClientOrder | RawLoad | RawOrder): Promise<unknown> {
  const gone = new AbortController()
  const ended = once(child, 'exit', { signal: gone.signal }).then(() => {
    throw new Error('a process of the bench ended')
  })
  ended.catch(() => undefined)
  child.send(order)
  try {
    const [answer] = await Promise.race([once(child, 'message', { signal: gone.signal }), ended])
    return answer
  } finally {
    gone.abort()
  }
}

function typical(samples: readonly Sample[]): Sample {
  const of = (key: keyof Sample) => median(samples.map((sample) => sample[key]))
  return { rate: of('rate'), p50: of('p50'), p99: of('p99') }
}

function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

// node test/bench/batching-gain.ts: a short run to look at, which proves nothing.
if (import.meta.main) {
  const { figures, holds } = await run(console.log, { rounds: 1, seconds: 2, warmSeconds: 1 })
  console.log(`${figures}: ${holds ? 'holds' : 'falls short'} (short run)`)
}
