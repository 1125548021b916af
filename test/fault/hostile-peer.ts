import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { frameLimits } from '@hansa/operator/link/transport/frames.ts'
import { testOwner } from '../builders/federation.ts'
import { serveWork } from '../integration/link/link-rig.ts'
import { type Remote, startRemote } from '../tools/process-calls.ts'
import { type Attacker, createAttacker, type Target } from './hostile-peer/attacker.ts'
import { attacks } from './hostile-peer/attacks.ts'

const requestCount = 10_000
const rounds = 8
const roundSeconds = 4
const perSecond = 20
const mostGrowthBytes = 8 * 1024 * 1024
const mostSlowdown = 1.1
const openRequests = 64
const mostRounds = 150
const framesReturnMs = (frameLimits.frameBurst / frameLimits.framesPerSecond) * 1000

export const promise = {
  id: 'hostile-peer',
  claim:
    'Whatever a stranger or an enrolled peer sends to the link over raw TLS, HTTP/2 and gRPC is refused and logged, memory stays flat, and other peers are served as before.',
  aim: `every attack refused and logged; heap grows by less than ${mostGrowthBytes / 2 ** 20} MiB; median latency of an honest peer during ${requestCount} requests and floods at most ${mostSlowdown} times that with the same storm at another link`,
}

type Memory = { heapUsed: number; rss: number; external: number }
type Measured = { latencies: number[]; failed: number }
type Guest = { peer: string; requestId: string; inbox: string[] }

/**
 * Two links in processes of their own. An honest peer calls the first at a steady rate; the storm goes to the second and to the
 * first by turns, so that the machine is equally busy in both halves of a pair and only what the link itself lets through counts.
 */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const folder = resolve(import.meta.dirname, 'hostile-peer')
  const arms = ['--expose-gc', '--max-semi-space-size=4', '--max-old-space-size=192']
  const attacked = startRemote(resolve(folder, 'link-process.ts'), arms)
  const decoy = startRemote(resolve(folder, 'link-process.ts'), arms)
  const honest = startRemote(resolve(folder, 'honest-process.ts'))
  const hostile = startRemote(resolve(folder, 'storm-process.ts'))
  try {
    return await judge({ attacked, decoy, honest, hostile }, report)
  } finally {
    await Promise.all([attacked, decoy, honest, hostile].map((each) => each.stop()))
  }
}

async function judge(
  { attacked, decoy, honest, hostile }: Record<'attacked' | 'decoy' | 'honest' | 'hostile', Remote>,
  report: (line: string) => void,
): Promise<{ figures: string; holds: boolean }> {
  const mallory = await createAttacker()
  const clinic = await honest.call<Peer>('start')
  const trudy = await hostile.call<Peer>('start')
  const target = await attacked.call<Target>('start')
  const other = await decoy.call<Target>('start')
  for (const link of [attacked, decoy]) {
    await link.call('know', mallory.peer)
    await link.call('know', clinic)
    await link.call('know', trudy)
  }
  await honest.call('connect', target)

  const failures = await attackOneByOne({ attacked, mallory, target, clinic }, report)
  failures.push(...(await checkReplay(attacked, mallory, target)))

  report(`signing ${requestCount} requests`)
  await hostile.call('prepare', { target, count: requestCount })
  await hostile.call('prepare', { target: other, count: requestCount / 10 })
  // The first round warms both up and is left out.
  const ratios: number[] = []
  const all: Record<'calm' | 'stormy', number[]> = { calm: [], stormy: [] }
  let [asked, failed] = [0, 0]
  let before: Memory | undefined
  for (let round = 0; round <= rounds; round++) {
    const measure = () => honest.call<Measured>('measure', { seconds: roundSeconds, perSecond })
    const half = async (name: 'calm' | 'stormy') => {
      const storm = { target: name === 'calm' ? other : target, seconds: roundSeconds }
      const [measured, sent] = await Promise.all([measure(), hostile.call<number>('storm', storm)])
      if (name === 'stormy') asked += sent
      failed += measured.failed
      return measured.latencies
    }
    const order = round % 2 === 0 ? (['calm', 'stormy'] as const) : (['stormy', 'calm'] as const)
    const found = { [order[0]]: await half(order[0]), [order[1]]: await half(order[1]) }
    if (round === 0) {
      before = await attacked.call<Memory>('memory')
      continue
    }
    all.calm.push(...(found.calm ?? []))
    all.stormy.push(...(found.stormy ?? []))
    ratios.push(quantile(found.stormy ?? [], 0.5) / quantile(found.calm ?? [], 0.5))
    report(
      `round ${round}: median ${quantile(found.calm ?? [], 0.5).toFixed(2)} ms without, ${quantile(found.stormy ?? [], 0.5).toFixed(2)} ms with the storm`,
    )
  }
  for (let more = 0; asked < requestCount && more < mostRounds; more++) {
    asked += await hostile.call<number>('storm', { target, seconds: roundSeconds })
  }
  // Until every connection of the storm is over.
  await sleep(20_000)
  const guests = await attacked.call<Guest[]>('guests')
  const open = guests.filter(({ peer }) => peer === 'trudy').length
  if (open > openRequests) failures.push(`${open} requests of the hostile peer are open`)
  const after = await attacked.call<Memory>('memory')
  const growth = after.heapUsed + after.external - ((before?.heapUsed ?? 0) + (before?.external ?? 0))
  const slowdown = quantile(ratios, 0.5)
  for (const failure of failures) report(`FAILED ${failure}`)
  const figures = [
    `n=${attacks.length + 1} attacks, ${failures.length} not refused and logged`,
    `${asked} requests of the hostile peer, ${open} open`,
    `heap ${signed(growth)} MiB (rss ${Math.round(after.rss / 2 ** 20)} MiB)`,
    `honest peer: median ${slowdown.toFixed(2)} times (of ${ratios.length} paired rounds; all calls p50 ${quantile(all.calm, 0.5).toFixed(1)} and ${quantile(all.stormy, 0.5).toFixed(1)} ms, p99 ${quantile(all.calm, 0.99).toFixed(1)} and ${quantile(all.stormy, 0.99).toFixed(1)} ms)`,
    `${failed} of ${all.calm.length + all.stormy.length} calls of it failed`,
  ].join('; ')
  const holds =
    failures.length === 0 &&
    growth < mostGrowthBytes &&
    slowdown <= mostSlowdown &&
    failed === 0 &&
    asked >= requestCount
  return { figures, holds }
}

async function attackOneByOne(
  scene: { attacked: Remote; mallory: Attacker; target: Target; clinic: Peer },
  report: (line: string) => void,
): Promise<string[]> {
  const { attacked, mallory, target, clinic } = scene
  const overheard = await overhear(target.peer)
  const failures: string[] = []
  for (const attack of attacks) {
    await attacked.call('refusals')
    const problem = await attack.run({ target, mallory, clinic, overheard }).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    const logged = await loggedSoon(attacked, attack.logged)
    const verdict =
      problem ?? (logged === undefined ? undefined : `logged ${logged}, not ${attack.logged.join(' or ')}`)
    if (verdict !== undefined) failures.push(`${attack.name}: ${verdict}`)
    report(`${attack.name}: ${verdict ?? 'refused and logged'}`)
    // The peer has its frames again: the next attack is judged by what it does itself.
    if (attack.logged.includes('FrameFlood')) await sleep(framesReturnMs)
  }
  return failures
}

/** Undefined when one of the reasons is logged within a while, else what was. */
async function loggedSoon(attacked: Remote, reasons: readonly string[]): Promise<string | undefined> {
  const seen = new Set<string>()
  for (let i = 0; i < 40; i++) {
    for (const reason of await attacked.call<string[]>('refusals')) seen.add(reason)
    if (reasons.some((reason) => seen.has(reason))) return undefined
    await sleep(50)
  }
  return [...seen].join(', ') || 'nothing'
}

/** What somebody listening at an honest owner could have copied. */
async function overhear(executor: Peer): Promise<{ requestId: string; envelope: string }> {
  const owner = await testOwner('clinic')
  const seal = createSeal({
    sealingOf: async () => ({ bundle: owner.bundle, signerOf: owner.signerOf }),
    clock: { now: Date.now },
  })
  const requestId = randomUUID()
  const message = { sequence: 1, requestId, work: serveWork() }
  const { signal } = new AbortController()
  const envelope = await seal('Request', message, { identityName: 'main', peer: executor, seconds: 3600, signal })
  return { requestId, envelope }
}

/** Old messages sent again, or in another order, change nothing. */
async function checkReplay(attacked: Remote, mallory: Attacker, target: Target): Promise<string[]> {
  const caller = await mallory.caller(target)
  const request = await mallory.request(target.peer)
  const { requestId } = request
  const renewal = async (sequence: number) => ({
    ...{ kind: 'Renewal' as const, requestId, sequence },
    envelope: await mallory.seal('Renewal', target.peer, { sequence, requestId, epoch: 1, nonce: 'n'.repeat(43) }),
  })
  const [third, fifth] = [await renewal(3), await renewal(5)]
  const answers: string[] = []
  for (const each of [request, fifth, third, request, fifth, third]) answers.push(await mallory.deliver(caller, each))
  await caller.close(0)
  const guests = await attacked.call<Guest[]>('guests')
  const guest = guests.filter((each) => each.requestId === requestId)
  const same = guest.length === 1 && guest[0]?.inbox.join() === 'Renewal 5'
  return same ? [] : [`replay and reorder: ${answers.join(', ')}; ${JSON.stringify(guest)}`]
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

function signed(bytes: number): string {
  const megabytes = bytes / 2 ** 20
  return `${megabytes >= 0 ? '+' : ''}${megabytes.toFixed(1)}`
}
