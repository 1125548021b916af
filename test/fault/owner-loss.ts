import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../demo/wait.ts'
import { type Fault, faults } from './owner-loss/faults.ts'
import { type Damage, damageOf, latencies } from './owner-loss/judge.ts'
import { type OwnerLoad, startOwnerLoad } from './owner-loss/load.ts'
import {
  allServe,
  leaseSeconds,
  namespace,
  type PeerName,
  startThreeOwners,
  type ThreeOwners,
} from './owner-loss/three-owners.ts'

const movedAimSeconds = 2
const placedAimSeconds = 30
// Well within the lease, whenever it was signed last.
const shortSeconds = 6
const steadySeconds = 5

export const promise = {
  id: 'owner-loss',
  claim:
    'When one of three owners is killed, partitioned, black-holed or slow under load, users lose no request, traffic and workers move, and its return deletes nothing.',
  aim: `each loss once for ${shortSeconds} s and once until the lease (${leaseSeconds} s) is over: 0 requests failed, traffic moved within ${movedAimSeconds} s, as many workers ready elsewhere within ${placedAimSeconds} s; back within the lease nothing is deleted or made anew, and the owner answers again`,
}

export type LossOptions = {
  /** Names of faults; all by default. */
  only?: readonly string[]
  /** Without losses that outlast the lease. */
  shortOnly?: boolean
}

type Loss = {
  name: string
  damage: Damage
  /** Seconds until as many workers as before are ready elsewhere; undefined where the loss was too short. */
  placed: number | undefined
  /** Ids at the peer and of what was asked of it that a return within the lease did away with. */
  deleted: number
  /** Seconds until it answered again. */
  again: number
}

/**
 * Three real owners on this machine, 30 requests a second (POST, in bursts, so that one worker is never enough); every line between them can
 * be cut, and the lost owner's own cluster goes on. A request that was sent to a lost owner and repeated elsewhere is no failure (ADR 26).
 */
export async function run(
  report: (line: string) => void,
  { only, shortOnly = false }: LossOptions = {},
): Promise<{ figures: string; holds: boolean }> {
  const owners = await startThreeOwners(report)
  try {
    const { library, url } = owners
    const access = { caPem: await library.trustPem(), token: await library.token('reader', namespace) }
    const load = await startOwnerLoad(url, access)
    const losses: Loss[] = []
    try {
      await answers(load, ['own', 'university', 'city'])
      report('all three owners answer')
      for (const fault of faults.filter(({ name }) => only?.includes(name) ?? true)) {
        for (const isLong of fault.isLoss && !shortOnly ? [false, true] : [false]) {
          const loss = await lose(owners, load, fault, isLong)
          losses.push(loss)
          for (const line of describe(loss)) report(line)
        }
      }
    } finally {
      await load.stop()
    }
    return judge(losses, load)
  } finally {
    await owners.stop()
  }
}

async function lose(owners: ThreeOwners, load: OwnerLoad, fault: Fault, isLong: boolean): Promise<Loss> {
  const peer: PeerName = 'university'
  await allServe(owners)
  await answers(load, [peer])
  await sleep(steadySeconds * 1000)
  const before = await idsOf(owners, peer)
  const began = performance.now()
  const undo = await fault.begin(owners, peer, isLong)
  let placed: number | undefined
  try {
    if (isLong) {
      await eventually('three workers are ready elsewhere', () => elsewhere(owners, peer), { seconds: 120 })
      placed = (performance.now() - began) / 1000
      await sleep(steadySeconds * 1000)
    } else await sleep(shortSeconds * 1000)
  } finally {
    await undo()
  }
  const healed = performance.now()
  await answers(load, [peer], 240)
  const again = (performance.now() - healed) / 1000
  await sleep(steadySeconds * 1000)
  const after = new Set(await idsOf(owners, peer))
  const damage = damageOf(load.outcomes, { began, healed, peer, isLoss: fault.isLoss })
  const deleted = isLong ? 0 : before.filter((id) => !after.has(id)).length
  return { name: `${fault.name} ${isLong ? 'until re-placed' : `${shortSeconds} s`}`, damage, placed, deleted, again }
}

async function idsOf(owners: ThreeOwners, peer: PeerName): Promise<string[]> {
  return [...(await owners.works(peer)), ...(await owners.guests(peer))]
}

async function elsewhere({ ready }: ThreeOwners, peer: PeerName): Promise<true | undefined> {
  const others = Object.entries(await ready()).filter(([name]) => name !== peer)
  return others.reduce((sum, [, count]) => sum + count, 0) >= 3 ? true : undefined
}

/** Waits until each of them has answered a request that began after now. */
async function answers({ outcomes }: OwnerLoad, names: readonly string[], seconds = 60): Promise<void> {
  const since = performance.now()
  await eventually(
    `answers of ${names.join(', ')}`,
    async () => {
      const late = outcomes.filter(({ began, status }) => began >= since && status === 200)
      const missing = names.filter((name) => !late.some(({ owner }) => owner === name))
      if (missing.length === 0) return true
      throw new Error(`${missing.join(', ')} has not answered`)
    },
    { seconds, everyMilliseconds: 50 },
  )
}

function describe({ name, damage, placed, deleted, again }: Loss): string[] {
  const { sent, failed, moved, slowest, before, during } = damage
  const parts = [
    `${sent} sent, ${failed.length} failed`,
    `moved after ${moved.toFixed(1)} s, slowest ${(slowest / 1000).toFixed(1)} s`,
    ...(placed === undefined ? [] : [`three workers elsewhere after ${placed.toFixed(1)} s`]),
    `answers again ${again.toFixed(1)} s after its return, ${deleted} objects gone`,
    `before ${before}, during ${during}`,
  ]
  return [`${name}: ${parts.join('; ')}`, ...failed.slice(0, 3).map(({ status, text }) => `  ${status} ${text}`)]
}

function judge(losses: readonly Loss[], { outcomes }: OwnerLoad): { figures: string; holds: boolean } {
  const failed = outcomes.filter(({ status }) => status !== 200).length
  const worst = (of: (loss: Loss) => number) => Math.max(...losses.map(of))
  const moved = worst(({ damage }) => damage.moved)
  const placed = losses.flatMap((loss) => loss.placed ?? [])
  const deleted = losses.reduce((sum, loss) => sum + loss.deleted, 0)
  const figures = [
    `n=${losses.length} losses, ${outcomes.length} requests: ${failed} failed`,
    `traffic moved after at most ${moved.toFixed(1)} s (${losses.map(({ name, damage }) => `${name} ${damage.moved.toFixed(1)}`).join(', ')})`,
    `slowest answer ${(worst(({ damage }) => damage.slowest) / 1000).toFixed(1)} s`,
    ...(placed.length > 0 ? [`workers elsewhere after at most ${Math.max(...placed).toFixed(1)} s`] : []),
    `${deleted} objects gone at a return within the lease, answers again after at most ${worst(({ again }) => again).toFixed(1)} s`,
    `p50 and p99 of all ${latencies(outcomes)}`,
  ].join('; ')
  const inTime = moved <= movedAimSeconds && placed.every((seconds) => seconds <= placedAimSeconds)
  return { figures, holds: failed === 0 && inTime && deleted === 0 }
}
