import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { lentWork } from '../builders/lent-work.ts'
import { inferenceService } from '../integration/gateway/gateway-under-test.ts'
import type { LoadCommand, LoadResult } from './gateway-overhead/load.ts'
import type { SideCommand, SideStarted } from './peer-hop/side.ts'

export const promise = {
  id: 'peer-hop',
  claim:
    "A request that another owner's worker answers, through both gateways and with receipts, costs little more than one at home",
  aim: 'CPU of all gateways per request at most 2x the local path, at 1 KiB and 64 KiB',
}

const sizes = [
  { label: '1 KiB', bytes: 1024 },
  { label: '64 KiB', bytes: 65_536 },
] as const

// As many of each path before anything is measured, and at least so many each turn.
const warmRequests = 4000
const leastRequests = 500

export type Options = { readonly rounds?: number; readonly seconds?: number; readonly concurrency?: number }

type Path = 'local' | 'peer'
type Sample = { cpu: number; p50: number; p99: number; requests: number }
type Side = SideStarted & { ask: (command: SideCommand) => Promise<unknown>; child: ChildProcess }

/** Measures both paths in turn, several rounds, at the same rate: half of what the path over the peer can do. */
export async function run(
  report: (line: string) => void,
  { rounds = 7, seconds = 2.5, concurrency = 16 }: Options = {},
): Promise<{ figures: string; holds: boolean }> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-hop-'))
  const children: ChildProcess[] = []
  try {
    const [a, b] = await Promise.all([startSide('a', dir, children), startSide('b', dir, children)])
    await prepare(a, b)
    const load = await startLoad(`${dir}/a`, children)
    const figures: string[] = []
    let holds = true
    for (const size of sizes) {
      const of = (path: Path, wanted: { seconds: number; rate: number | undefined }) =>
        load({
          url: a.url,
          path: `/apps/${path === 'local' ? 'home' : 'digits'}/v2/models/m/infer`,
          authorization: `Bearer ${a.token}`,
          mutualTls: false,
          bodyBytes: size.bytes,
          concurrency,
          ...wanted,
        })
      for (const path of ['local', 'peer'] as const) await reached(() => of(path, { seconds: 1, rate: 20 }))
      for (const path of ['local', 'peer'] as const) await warm(() => of(path, { seconds: 2, rate: undefined }))
      const { latencies, seconds: took, failed, problem } = await of('peer', { seconds: 2, rate: undefined })
      if (failed > 0) throw new Error(`peer: ${failed} requests failed: ${problem}`)
      const rate = latencies.length / took / 2
      report(`${size.label}: up to ${Math.round(2 * rate)} requests/s over the peer on this machine`)
      const samples: Record<Path, Sample[]> = { local: [], peer: [] }
      for (let round = 0; round < rounds; round += 1) {
        // Another order each round, so that nobody always runs after the other.
        for (const path of round % 2 === 0 ? (['local', 'peer'] as const) : (['peer', 'local'] as const)) {
          const before = await cpuOf(a, b)
          const result = await of(path, { seconds: Math.min(10, Math.max(seconds, leastRequests / rate)), rate })
          const after = await cpuOf(a, b)
          if (result.failed > 0) throw new Error(`${path}: ${result.failed} requests failed: ${result.problem}`)
          const { latencies: sorted } = result
          samples[path].push({
            cpu: (after - before) / sorted.length,
            p50: quantile(sorted, 0.5),
            p99: quantile(sorted, 0.99),
            requests: sorted.length,
          })
        }
      }
      const median = (path: Path, key: keyof Sample) =>
        quantile(
          samples[path].map((sample) => sample[key]).toSorted((x, y) => x - y),
          0.5,
        )
      // Of neighbours in time, so that a machine that is slow for a while is slow for both.
      const ratio = quantile(
        samples.peer.map(({ cpu }, i) => cpu / (samples.local[i]?.cpu ?? Number.NaN)).toSorted((x, y) => x - y),
        0.5,
      )
      const n = samples.peer.reduce((sum, { requests }) => sum + requests, 0)
      for (const path of ['local', 'peer'] as const) {
        report(
          `${size.label} ${path.padEnd(5)} CPU ${median(path, 'cpu').toFixed(0)} us, p50 ${median(path, 'p50').toFixed(2)} ms, p99 ${median(path, 'p99').toFixed(2)} ms`,
        )
      }
      const added = median('peer', 'p50') - median('local', 'p50')
      figures.push(
        `${size.label} at ${Math.round(rate)}/s (n=${n}): CPU ${median('peer', 'cpu').toFixed(0)} us, ${ratio.toFixed(2)}x the local ${median('local', 'cpu').toFixed(0)} us; added p50 ${added.toFixed(2)} ms`,
      )
      holds &&= ratio <= 2
    }
    return { figures: figures.join('; '), holds }
  } finally {
    for (const child of children) child.kill('SIGTERM')
    await rm(dir, { recursive: true, force: true })
  }
}

/** At A a service with a worker of its own, and one whose worker is at B. */
async function prepare(a: Side, b: Side): Promise<void> {
  await a.ask({ do: 'join', name: 'b', known: b.known, address: b.address })
  await b.ask({ do: 'join', name: 'a', known: a.known, address: undefined })
  const { remote, guest, guestService } = lentWork({ name: 'a', owner: a.known }, { name: 'b', owner: b.known })
  const services = [inferenceService('home'), inferenceService('digits')]
  await a.ask({ do: 'hold', services, remoteWorks: [remote] })
  await b.ask({ do: 'hold', services: [guestService], guestWorks: [guest] })
  await a.ask({ do: 'serve', namespace: 'apps', service: 'home' })
  await b.ask({ do: 'serve', namespace: 'guests', service: guestService.metadata.name })
}

async function startSide(name: string, dir: string, children: ChildProcess[]): Promise<Side> {
  const folder = `${dir}/${name}`
  await mkdir(folder, { recursive: true })
  const logFile = await open(`${folder}/gateway.log`, 'w')
  const child = fork(resolve(import.meta.dirname, 'peer-hop/side.ts'), [name, folder], {
    // As the chart sets it.
    execArgv: ['--max-semi-space-size=4'],
    stdio: ['ignore', logFile.fd, 'inherit', 'ipc'],
  })
  await logFile.close()
  children.push(child)
  const answer = async () => {
    const [{ result }] = await once(child, 'message', { signal: AbortSignal.timeout(30_000) })
    return result as unknown
  }
  // side.ts sends this first.
  const started = (await answer()) as SideStarted
  const ask = (command: SideCommand) => {
    const answered = answer()
    child.send(command)
    return answered
  }
  return { ...started, ask, child }
}

async function startLoad(
  dir: string,
  children: ChildProcess[],
): Promise<(command: LoadCommand) => Promise<LoadResult>> {
  const generator = fork(resolve(import.meta.dirname, 'gateway-overhead/load.ts'), [dir])
  children.push(generator)
  await once(generator, 'message')
  return async (command) => {
    generator.send(command)
    const [result] = await once(generator, 'message', { signal: AbortSignal.timeout((command.seconds + 30) * 1000) })
    // load.ts answers each LoadCommand with one LoadResult.
    return result as LoadResult
  }
}

/** Until V8 has compiled what is measured. */
async function warm(load: () => Promise<LoadResult>): Promise<void> {
  let done = 0
  for (let i = 0; i < 6 && done < warmRequests; i += 1) done += (await load()).latencies.length
}

/** Tries until the routes are there. */
async function reached(attempt: () => Promise<LoadResult>): Promise<void> {
  let problem: string | undefined
  for (let i = 0; i < 10; i += 1) {
    const result = await attempt()
    if (result.failed === 0) return
    problem = result.problem
  }
  throw new Error(`the services are not reached: ${problem}`)
}

/** CPU time of both gateways, microseconds. */
async function cpuOf(...sides: Side[]): Promise<number> {
  const each = await Promise.all(sides.map((side) => side.ask({ do: 'cpu' })))
  return each.reduce((sum: number, one) => sum + Number(one), 0)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
