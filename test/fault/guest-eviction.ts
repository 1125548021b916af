import { percentile } from '../bench/grant-latency/percentiles.ts'
import { eventually } from '../demo/wait.ts'
import { type Eviction, evict } from './guest-eviction/evict.ts'
import { type GuestLoad, type Outcome, startGuestLoad } from './guest-eviction/guest-load.ts'
import { drainTimeoutSeconds, type Guest, type Lender, startLender } from './guest-eviction/lender.ts'

const rounds = 20
const aimSeconds = drainTimeoutSeconds + 10

export const promise = {
  id: 'guest-eviction',
  claim:
    'A pod of our own that needs a GPU which is lent out gets it soon, guests fail no request that they took, and only one lease pays.',
  aim: `${rounds} claims on a node whose GPUs are all lent: each runs within the drain timeout plus 10 s (${aimSeconds} s); 0 failed guest requests, 0 not taken before the guest was asked to leave; 1 lease ended a claim; the GPU is lent again after each`,
}

type Lent = { guest: Guest; load: GuestLoad }
type Counts = {
  served: number
  failed: Outcome[]
  /** Not taken before the guest was seen to be asked to leave, and how many after it, the first after how many milliseconds. */
  early: Outcome[]
  late: number
  spared: number
}
type Round = Eviction & Counts & { back: number; ended: string[] }

/**
 * A real scheduler and operator, one node with two GPUs, two guests of one GPU each, both asked ten times a second by a client with the
 * gateway's identity, a new connection each time, every fifth request sent over three seconds. A request fails that was sent over a connection and is not answered with 200, nor
 * with the 503 by which a worker that leaves takes nothing more. Such a 503 and a refused connection count as not taken, and
 * may come only after the pod was asked to leave.
 */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const lender = await startLender(report)
  try {
    let lent = await Promise.all([0, 1].map(() => lend(lender)))
    const done: Round[] = []
    for (let i = 1; i <= rounds; i++) {
      const { round, next } = await once(lender, lent, `own-${i}`)
      lent = next
      done.push(round)
      report(`claim ${i} of ${rounds}: ${describe(round)}`)
    }
    const rest = await Promise.all(lent.map(({ load }) => load.stop()))
    return judge(done, count(rest.flat(), Number.POSITIVE_INFINITY))
  } finally {
    await lender.stop()
  }
}

async function lend(lender: Lender): Promise<Lent> {
  const guest = await lender.lend()
  return { guest, load: await startGuestLoad(lender.gateway, guest.worker) }
}

async function once(lender: Lender, lent: readonly Lent[], name: string): Promise<{ round: Round; next: Lent[] }> {
  const guests = lent.map(({ guest }) => guest)
  const eviction = await evict(lender, guests, name)
  const victim = lent.find(({ guest }) => guest === eviction.victim)
  if (victim === undefined) throw new Error('the victim was lent')
  const counts = count(await victim.load.stop(), eviction.left)
  await eventually('the requester hears of the end', async () => {
    const answer = await lender.requester.answer(eviction.victim.work)
    return answer?.refusals.some(({ reason }) => reason === 'Preempted') || undefined
  })
  await lender.release(name)
  const released = performance.now()
  const again = await lend(lender)
  const back = performance.now() - released
  const now = await Promise.all(guests.map((guest) => lender.work(guest)))
  const ended = now.flatMap(({ metadata, status }) => (status?.decision === 'Ended' ? [metadata.name] : []))
  const next = [...lent.filter((each) => each !== victim), again]
  return { round: { ...eviction, ...counts, back, ended }, next }
}

function count(outcomes: readonly Outcome[], left: number): Counts {
  const notTaken = outcomes.filter(({ kind }) => kind === 'NotTaken')
  const early = notTaken.filter(({ began }) => began < left)
  return {
    served: outcomes.filter(({ kind }) => kind === 'Served').length,
    failed: outcomes.filter(({ kind }) => kind === 'Failed'),
    early,
    late: notTaken.length - early.length,
    spared: Math.min(...notTaken.map(({ began }) => began - left)),
  }
}

function describe({ claimed, runs, left, gone, served, failed, early, late, back, ended }: Round): string {
  const words = [
    `runs after ${seconds(runs - claimed)}`,
    `guest asked to leave after ${seconds(left - claimed)}, gone after ${seconds(gone - claimed)}`,
    `${served} requests served, ${failed.length} failed, ${early.length + late} not taken`,
    `${ended.length} lease ended, lent again after ${seconds(back)}`,
    ...[...failed, ...early].slice(0, 3).map(({ kind, text }) => `${kind}: ${text}`),
  ]
  return words.join('; ')
}

function judge(done: readonly Round[], staying: Counts): { figures: string; holds: boolean } {
  const took = done.map(({ claimed, runs }) => (runs - claimed) / 1000)
  const back = done.map((round) => round.back / 1000)
  const all = [...done, staying]
  const sum = (of: (counts: Counts) => number) => all.reduce((total, counts) => total + of(counts), 0)
  const worst = percentile(took, 1)
  const failed = sum((counts) => counts.failed.length)
  const early = sum((counts) => counts.early.length)
  const figures = [
    `n=${done.length} claims: seconds until it runs p50 ${shown(took, 0.5)}, p90 ${shown(took, 0.9)}, max ${worst.toFixed(1)} (drain timeout ${drainTimeoutSeconds} s)`,
    `${sum((counts) => counts.served)} guest requests served, ${failed} failed, ${early} not taken too early, ${sum((counts) => counts.late)} not taken by guests that were leaving, the first ${seconds(Math.min(...done.map(({ spared }) => spared)))} after they were asked to`,
    `at most ${Math.max(...done.map(({ ended }) => ended.length))} lease ended a claim`,
    `lent again after p50 ${shown(back, 0.5)}, max ${shown(back, 1)} s`,
  ].join('; ')
  const one = done.every(({ ended }) => ended.length === 1)
  return { figures, holds: done.length >= rounds && worst <= aimSeconds && failed === 0 && early === 0 && one }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}

function shown(values: readonly number[], share: number): string {
  return percentile(values, share).toFixed(1)
}
