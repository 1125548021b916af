import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { slowModel } from '../builders/onnx-model.ts'
import type { LoadOrder, LoadReport, LoadTarget } from './serving-stage/load.ts'
import { heapAfterCollection, residentBytes } from './serving-stage/process-memory.ts'
import { type ServingStage, startStage } from './serving-stage/stage.ts'

export const promise = {
  id: 'overload',
  claim:
    'Offered twice what it can do, a service still does its work: the excess is refused at once, memory stays flat, and thousands of idle streams cost little',
  aim: 'goodput at 200% load at least 90% of capacity, no answer but 200 and 429, 99% of 429 within 50 ms, resident memory of gateway and workers after a collection grows by at most 16 MB a minute, 2000 idle streams below 200 KB each and all alive',
}

export type OverloadOptions = { seconds: number; streams: number; turns: number }

// A run of some 40 ms: so slow that the processes around the model, which share its cores here, take little of them.
const full: OverloadOptions = { seconds: 60, streams: 2000, turns: 20_000 }
const smoke: OverloadOptions = { seconds: 6, streams: 200, turns: 20_000 }
const megabyte = 1_048_576

/** Measures capacity by a closed loop and offers 50, 100 and 200% of it in an open one, in turns, through one gateway to its workers. */
export async function run(
  report: (line: string) => void,
  options: OverloadOptions = full,
): Promise<{ figures: string; holds: boolean }> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-overload-'))
  let stage: ServingStage | undefined
  let generator: ChildProcess | undefined
  try {
    // One core for the model, so that gateway and load have the other one on the smallest machine.
    const workers = Math.max(1, Math.floor(cpus().length / 2))
    stage = await startStage(dir, {
      model: slowModel(),
      workers,
      limits: { requestBytes: 1 << 20, responseBytes: 1 << 20, queueDepth: 50, inFlight: 1000 },
      requestSeconds: 10,
    })
    report(
      `${cpus().length} cores shared by the gateway, ${workers} worker(s) of one session each and the load generator; a model of ${options.turns} turns`,
    )
    generator = fork(resolve(import.meta.dirname, 'serving-stage/load.ts'), { serialization: 'advanced' })
    const load = await loader(generator, { ...stage, turns: options.turns })
    return await measure(stage, load, options, report)
  } finally {
    generator?.kill('SIGKILL')
    await stage?.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

type Load = (order: LoadOrder) => Promise<LoadReport>

async function measure(stage: ServingStage, load: Load, options: OverloadOptions, report: (line: string) => void) {
  const { seconds } = options
  await load({ kind: 'closed', concurrency: 8, seconds: 3 }) // warm: connections, compiled code
  const levels: Level[] = []
  for (const percent of [50, 100, 200]) {
    const level = await offer(stage, load, percent, seconds)
    levels.push(level)
    report(
      `${percent}% of ${(level.possible / level.outcome.seconds).toFixed(1)}/s: ${describe(level.outcome)}; memory ${signed(level.growth)} MB/min after a collection, at most ${level.peak.toFixed(0)} MB more meanwhile`,
    )
  }
  const idle = await idleStreams(stage, load, options.streams, report)
  const top = levels.at(-1)
  if (top === undefined) throw new Error('no level was measured')
  const share = top.outcome.served / top.possible
  const refused = top.outcome.byStatus[429] ?? []
  const p99 = quantile(refused, 0.99)
  const others = levels.flatMap(({ outcome }) =>
    Object.keys(outcome.byStatus).filter((status) => status !== '200' && status !== '429'),
  )
  const holds =
    share >= 0.9 && p99 <= 50 && others.length === 0 && top.growth <= 16 && idle.bytesEach <= 200_000 && idle.allAlive
  const figures = [
    `capacity ${(top.possible / top.outcome.seconds).toFixed(1)}/s, goodput at 200% ${(100 * share).toFixed(1)}% of it (n=${total(top.outcome)})`,
    `429 p50 ${quantile(refused, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (n=${refused.length})`,
    others.length === 0 ? 'no other answers' : `other answers: ${[...new Set(others)].join(', ')}`,
    `memory ${signed(top.growth)} MB/min after a collection at 200%, at most ${top.peak.toFixed(0)} MB more meanwhile`,
    `${options.streams} idle streams ${(idle.bytesEach / 1000).toFixed(1)} KB each${idle.allAlive ? ', all alive' : ', NOT all alive'}`,
  ]
  return { figures: figures.join('; '), holds }
}

type Level = { percent: number; outcome: LoadReport; possible: number; growth: number; peak: number }

const rounds = 4

/**
 * Offers a share of the capacity for some seconds, in rounds that each measure the capacity first: what a shared machine can do
 * changes within a minute. `possible` is how many answers the measured capacity would have allowed.
 */
async function offer(stage: ServingStage, load: Load, percent: number, seconds: number): Promise<Level> {
  const pids = [stage.gateway.pid, ...stage.workers.map(({ pid }) => pid)]
  const resident = () => pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / megabyte
  // What is garbage is not counted: when the collector comes by is chance within a minute.
  await heapAfterCollection(stage.inspectorPort)
  const residentBefore = resident()
  let peak = residentBefore
  const sampling = setInterval(() => {
    peak = Math.max(peak, resident())
  }, 250)
  const began = performance.now()
  const outcome: LoadReport = { byStatus: {}, seconds: 0, late: 0, served: 0 }
  let possible = 0
  for (let round = 0; round < rounds; round += 1) {
    const closed = await load({ kind: 'closed', concurrency: 16, seconds: Math.max(3, seconds / 8) })
    const capacity = closed.served / closed.seconds
    const rate = (capacity * percent) / 100
    const part = await load({ kind: 'open', rate, seconds: seconds / rounds, seed: percent + round })
    possible += capacity * part.seconds
    outcome.seconds += part.seconds
    outcome.served += part.served
    outcome.late = Math.max(outcome.late, part.late)
    for (const [status, latencies] of Object.entries(part.byStatus)) {
      outcome.byStatus[Number(status)] = [...(outcome.byStatus[Number(status)] ?? []), ...latencies].sort(
        (a, b) => a - b,
      )
    }
  }
  clearInterval(sampling)
  const minutes = (performance.now() - began) / 60_000
  await heapAfterCollection(stage.inspectorPort)
  return { percent, outcome, possible, growth: (resident() - residentBefore) / minutes, peak: peak - residentBefore }
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(1)}`
}

/** What open streams cost gateway and workers together, once each has had one answer and the workers' ends are given back. */
async function idleStreams(stage: ServingStage, load: Load, count: number, report: (line: string) => void) {
  const pids = [stage.gateway.pid, ...stage.workers.map(({ pid }) => pid)]
  const resident = () => pids.reduce((sum, pid) => sum + residentBytes(pid), 0)
  const heapBefore = await heapAfterCollection(stage.inspectorPort)
  const residentBefore = resident()
  const opened = await load({ kind: 'streams', count })
  await new Promise((resolve) => setTimeout(resolve, 12_000))
  const heap = (await heapAfterCollection(stage.inspectorPort)) - heapBefore
  const grown = resident() - residentBefore
  const woken = await load({ kind: 'wakeStreams' })
  const alive = woken.byStatus[200]?.length ?? 0
  report(
    `${count} idle streams: resident ${(grown / megabyte).toFixed(1)} MB more (gateway and workers), of that live heap ${(heap / megabyte).toFixed(1)} MB; ${opened.byStatus[200]?.length ?? 0} answered at first, ${alive} after the rest`,
  )
  return { bytesEach: Math.max(grown, heap) / count, allAlive: alive === count }
}

async function loader(generator: ChildProcess, stage: LoadTarget): Promise<Load> {
  const { restUrl, grpcUrl, path, model, token, caPem, turns } = stage
  generator.send({ restUrl, grpcUrl, path, model, token, caPem, turns })
  await once(generator, 'message')
  return async (order) => {
    generator.send(order)
    const seconds = 'seconds' in order ? order.seconds : 60
    const [result] = await once(generator, 'message', { signal: AbortSignal.timeout((seconds + 120) * 1000) })
    // load.ts answers each LoadOrder with one LoadReport.
    return result as LoadReport
  }
}

function describe({ byStatus, seconds, late }: LoadReport): string {
  const parts = Object.entries(byStatus).map(
    ([status, latencies]) =>
      `${status}: ${(latencies.length / seconds).toFixed(1)}/s p50 ${quantile(latencies, 0.5).toFixed(1)} p99 ${quantile(latencies, 0.99).toFixed(1)} ms`,
  )
  return `${parts.join('; ')} (generator at most ${late.toFixed(0)} ms late)`
}

function total({ byStatus }: LoadReport): number {
  return Object.values(byStatus).reduce((sum, { length }) => sum + length, 0)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

// `node test/bench/overload.ts` is a short run of the same.
if (import.meta.main) {
  const { figures, holds } = await run((line) => console.log(`  ${line}`), smoke)
  console.log(`overload (short): ${figures}: ${holds ? 'holds' : 'falls short'}`)
}
