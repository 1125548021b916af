import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuMicroseconds } from './gateway-overhead/cpu-time.ts'
import { startTargets, type Target, type Targets } from './gateway-overhead/targets.ts'

export const promise = {
  id: 'gateway-overhead',
  claim:
    'Going through the gateway, with TLS, tokens, limits and logs, costs little more than the least that a proxy can cost',
  aim: 'added p50 below 1 ms at half load; CPU per request at 1 KiB at most 1.3x a minimal Node proxy, at 600 KB at most 2x nginx',
}

type Name = Target['name']
type Size = { label: string; bytes: number; rounds: number; seconds: number; concurrency: number }
type Sample = { p50: number; p99: number; cpu: number; requests: number }

const sizes: readonly Size[] = [
  { label: '1 KiB', bytes: 1024, rounds: 7, seconds: 2.5, concurrency: 16 },
  { label: '600 KB', bytes: 600_000, rounds: 5, seconds: 2.5, concurrency: 8 },
]

/** Measures direct calls, a minimal proxy, nginx and the gateway in turn, several rounds, at half of what the gateway can do. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-overhead-'))
  let running: Targets | undefined
  try {
    running = await startTargets(dir)
    report('one echo server with mutual TLS stands in for the worker, the same for all; all traffic is loopback')
    const results = []
    for (const size of sizes) results.push(await measure(running, size, report))
    return verdict(results, report)
  } finally {
    await running?.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

type Measured = { size: Size; rate: number; samples: Record<Name, Sample[]> }

async function measure(running: Targets, size: Size, report: (line: string) => void): Promise<Measured> {
  const once = (target: Target, seconds: number, rate: number | undefined) =>
    running.load({
      url: target.url,
      path: running.path,
      authorization: target.name === 'gateway' ? `Bearer ${running.token}` : undefined,
      mutualTls: target.mutualTls,
      bodyBytes: size.bytes,
      seconds,
      concurrency: size.concurrency,
      rate,
    })
  const samples: Record<Name, Sample[]> = { direct: [], minimal: [], nginx: [], gateway: [] }
  let capacity = Number.POSITIVE_INFINITY
  for (const target of running.targets) {
    await once(target, 1.5, undefined) // warm: connections, compiled code
    const { latencies, seconds, failed, problem } = await once(target, 2, undefined)
    if (failed > 0) throw new Error(`${target.name}: ${failed} requests failed: ${problem}`)
    report(`${size.label}: ${target.name} up to ${Math.round(latencies.length / seconds)} requests/s on this machine`)
    if (target.name === 'gateway') capacity = latencies.length / seconds
  }
  const rate = capacity / 2
  for (let round = 0; round < size.rounds; round += 1) {
    // Another order each round, so that nobody always runs after the same neighbour.
    const order = running.targets.map((_, index) => running.targets[(index + round) % running.targets.length])
    for (const target of order) {
      if (target === undefined) continue
      const before = target.pid === undefined ? 0 : cpuMicroseconds(target.pid)
      const { latencies, failed, problem } = await once(target, size.seconds, rate)
      const after = target.pid === undefined ? 0 : cpuMicroseconds(target.pid)
      if (failed > 0) throw new Error(`${target.name}: ${failed} requests failed: ${problem}`)
      samples[target.name].push({
        p50: quantile(latencies, 0.5),
        p99: quantile(latencies, 0.99),
        cpu: (after - before) / latencies.length,
        requests: latencies.length,
      })
    }
  }
  return { size, rate, samples }
}

function verdict(results: readonly Measured[], report: (line: string) => void): { figures: string; holds: boolean } {
  const figures: string[] = []
  let holds = true
  for (const { size, rate, samples } of results) {
    const { direct, minimal, nginx, gateway } = samples
    const n = gateway.reduce((sum, { requests }) => sum + requests, 0)
    report(
      `${size.label} at ${Math.round(rate)} requests/s, ${size.rounds} interleaved rounds, n=${n} each; medians of the rounds:`,
    )
    for (const name of ['direct', 'minimal', 'nginx', 'gateway'] as const) {
      const of = (key: 'p50' | 'p99' | 'cpu') => median(samples[name].map((sample) => sample[key]))
      const cpu = name === 'direct' ? '' : `, CPU ${of('cpu').toFixed(0)} us a request`
      report(`  ${name.padEnd(8)} p50 ${of('p50').toFixed(2)} ms, p99 ${of('p99').toFixed(2)} ms${cpu}`)
    }
    const added = (key: 'p50' | 'p99') => median(pairs(gateway, direct, (ours, base) => ours[key] - base[key]))
    const toMinimal = median(pairs(gateway, minimal, (ours, base) => ours.cpu / base.cpu))
    const toNginx = median(pairs(gateway, nginx, (ours, base) => ours.cpu / base.cpu))
    figures.push(
      `${size.label} at ${Math.round(rate)}/s (n=${n}): added p50 ${added('p50').toFixed(2)} ms, p99 ${added('p99').toFixed(2)} ms, CPU ${toMinimal.toFixed(2)}x minimal, ${toNginx.toFixed(2)}x nginx`,
    )
    if (size.bytes <= 1024) holds &&= added('p50') < 1 && toMinimal <= 1.3
    else holds &&= toNginx <= 2
  }
  return { figures: figures.join('; '), holds }
}

function pairs(ours: readonly Sample[], base: readonly Sample[], of: (ours: Sample, base: Sample) => number): number[] {
  return ours.flatMap((sample, index) => {
    const other = base[index]
    return other === undefined ? [] : [of(sample, other)]
  })
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
