import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../bench/serving-stage/load.ts'
import { heapAfterCollection, openFiles, residentBytes, slope } from '../bench/serving-stage/process-memory.ts'
import { type ServingStage, startStage } from '../bench/serving-stage/stage.ts'
import { identityModel } from '../builders/onnx-model.ts'
import { Ledger } from './gateway-soak/ledger.ts'
import { mixedTraffic } from './gateway-soak/traffic.ts'

export const promise = {
  id: 'gateway-soak',
  claim:
    'Twenty minutes of mixed REST and gRPC with strangers, users who leave, slow readers and workers that are killed leave nothing behind in the gateway, and every request ends exactly once',
  aim: 'no request without an end or with two, no status but the expected ones, heap after a collection grows by at most 0.2 MB a minute, file descriptors by at most 10',
}

export type SoakOptions = { seconds: number; checkpointSeconds: number; killSeconds: number }

const full: SoakOptions = { seconds: 1200, checkpointSeconds: 40, killSeconds: 15 }
const megabyte = 1_048_576
/** How long after a worker's death requests may still meet it. */
const troubledMs = 8000
const requestSeconds = 20

type Point = { minutes: number; heap: number; files: number; resident: number }

/** One gateway, three workers, all kinds of users; at each checkpoint all requests must have ended, then the heap is measured. */
export async function run(
  report: (line: string) => void,
  options: SoakOptions = full,
): Promise<{ figures: string; holds: boolean }> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-soak-'))
  let stage: ServingStage | undefined
  try {
    stage = await startStage(dir, {
      model: identityModel('FP32'),
      workers: 3,
      limits: { requestBytes: 16 << 20, responseBytes: 16 << 20, queueDepth: 200, inFlight: 1000 },
      requestSeconds,
    })
    return await soak(stage, options, report)
  } finally {
    await stage?.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

async function soak(stage: ServingStage, options: SoakOptions, report: (line: string) => void) {
  const random = seeded(1)
  const deaths: number[] = []
  const ledger = new Ledger((kind, outcome, beganAt) => expected(kind, outcome, beganAt, deaths))
  const traffic = mixedTraffic(stage, ledger, random)
  const began = performance.now()
  const until = began + options.seconds * 1000
  const points: Point[] = []
  let unended: string[] = []
  let stopping = false
  const killing = (async () => {
    while (!stopping) {
      for (let waited = 0; waited < options.killSeconds && !stopping; waited += 0.5) await sleep(500)
      const worker = stage.workers[Math.floor(random() * stage.workers.length)]
      if (stopping || worker === undefined) return
      deaths.push(performance.now())
      await worker.kill()
      await sleep(1000)
      await worker.start()
    }
  })()
  try {
    while (performance.now() < until) {
      traffic.resume()
      await sleep(Math.min(options.checkpointSeconds * 1000, Math.max(1000, until - performance.now())))
      await traffic.pause((requestSeconds + 10) * 1000)
      unended = ledger.unended()
      const point = {
        minutes: (performance.now() - began) / 60_000,
        heap: (await heapAfterCollection(stage.inspectorPort)) / megabyte,
        files: openFiles(stage.gateway.pid),
        resident: residentBytes(stage.gateway.pid) / megabyte,
      }
      points.push(point)
      report(
        `${point.minutes.toFixed(1)} min: ${ledger.begun} requests, ${deaths.length} workers killed; heap ${point.heap.toFixed(2)} MB, resident ${point.resident.toFixed(0)} MB, ${point.files} files; wrong: ${ledger.wrong.length}, without end: ${unended.length}`,
      )
      if (unended.length > 0) break
    }
  } finally {
    stopping = true
    await killing
    await traffic.close()
  }
  for (const [what, count] of ledger.counts()) report(`  ${what}: ${count}`)
  for (const wrong of ledger.wrong.slice(0, 20)) report(`  wrong: ${wrong}`)
  // The first points still hold what is compiled and cached once.
  const settled = points.slice(Math.floor(points.length / 4))
  const growth = settled.length < 3 ? 0 : slope(settled.map(({ minutes, heap }) => ({ x: minutes, y: heap })))
  const files = (settled.at(-1)?.files ?? 0) - (settled[0]?.files ?? 0)
  const holds = unended.length === 0 && ledger.wrong.length === 0 && growth <= 0.2 && files <= 10
  const figures = [
    `${ledger.begun} requests, ${deaths.length} workers killed in ${(options.seconds / 60).toFixed(0)} min`,
    `${unended.length} without an end, ${ledger.wrong.length} unexpected or double`,
    `heap ${growth >= 0 ? '+' : ''}${growth.toFixed(3)} MB/min over ${settled.length} points (${settled[0]?.heap.toFixed(1)} to ${settled.at(-1)?.heap.toFixed(1)} MB)`,
    `file descriptors ${files >= 0 ? '+' : ''}${files}`,
  ]
  return { figures: figures.join('; '), holds }
}

/** What may become of a request: its own answer, and near a worker's death the words for that. */
function expected(kind: string, outcome: string, beganAt: number, deaths: readonly number[]): boolean {
  if (kind === 'REST stranger') return outcome === '401'
  if (kind === 'gRPC stranger') return outcome === 'grpc 16'
  if (outcome === '200' || outcome === 'grpc 0') return true
  if (outcome === 'aborted') return kind.endsWith('aborted')
  const now = performance.now()
  const troubled = deaths.some((death) => death <= now && death + troubledMs >= beganAt)
  if (!troubled) return false
  // 502: the worker died with it; 503: none could be reached for a moment; a cut connection: it died in the middle of an answer.
  return [
    '502',
    '503',
    'grpc 14',
    'error UND_ERR_SOCKET',
    'error ECONNRESET',
    'error UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ].includes(outcome)
}

// `node test/fault/gateway-soak.ts [seconds]` is a run of that length, a minute if not said.
if (import.meta.main) {
  const seconds = Number(process.argv[2] ?? 60)
  const options = { seconds, checkpointSeconds: Math.min(40, seconds / 6), killSeconds: Math.min(15, seconds / 6) }
  const { figures, holds } = await run((line) => console.log(`  ${line}`), options)
  console.log(`gateway-soak (${seconds} s): ${figures}: ${holds ? 'holds' : 'falls short'}`)
}
