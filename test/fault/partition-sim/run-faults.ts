import type { ExecutorState, Rules } from './executor-operator.ts'
import type { Owner, Stage } from './owner.ts'
import type { RequesterState } from './requester-operator.ts'
import type { Happening, Scenario } from './scenario.ts'
import type { Workers } from './workers.ts'

export type Executor = { readonly owner: Owner<ExecutorState>; readonly workers: Workers; readonly rules: Rules }

export type Cast = {
  readonly requester: Owner<RequesterState>
  readonly executors: ReadonlyMap<string, Executor>
}

type Lost = { readonly owner: string; readonly fromMs: number; readonly toMs: number }

/** Lets the faults of a scenario happen within `spanMs`; all end with it. */
export function scheduleFaults(stage: Stage, cast: Cast, { faults, workload }: Scenario, spanMs: number): void {
  const lost: Lost[] = []
  const isRequesterRestored = faults.some(
    ({ happening }) => happening.what === 'Restore' && happening.owner === 'R' && workload === 'Train',
  )
  for (const { at, happening } of faults) {
    const atMs = (at / 1_000) * spanMs
    stage.world.after(atMs, () => happen(stage, cast, happening, spanMs - atMs, { lost, isRequesterRestored }))
  }
}

function happen(
  stage: Stage,
  cast: Cast,
  happening: Happening,
  leftMs: number,
  limits: { lost: Lost[]; isRequesterRestored: boolean },
): void {
  const { world } = stage
  const ms = 'seconds' in happening ? Math.min(happening.seconds * 1_000, leftMs) : 0
  const ownerOf = (name: string) => (name === 'R' ? cast.requester : cast.executors.get(name)?.owner)
  world.note(() => `FAULT ${JSON.stringify(happening)}`)
  switch (happening.what) {
    case 'Partition':
      partition(stage, cast, happening, ms)
      return
    case 'CrashOperator':
      world.count('operator crashed')
      ownerOf(happening.owner)?.operator.crash(ms)
      return
    case 'FaultAtWrite':
      ownerOf(happening.owner)?.operator.arm(happening.fault, Math.min(ms, leftMs / 2))
      return
    case 'CrashLink':
      world.count('link crashed')
      ownerOf(happening.owner)?.link.crash(ms)
      return
    case 'Pause':
      world.count('operator paused')
      ownerOf(happening.owner)?.operator.pause(ms)
      return
    case 'WallJump':
      // The one pair of faults that the protocol does not bear (ADR 21): an executor's wall clock set back, and a requester that
      // forgets what it placed.
      if (happening.seconds < 0 && happening.owner !== 'R' && limits.isRequesterRestored) return
      world.count(happening.seconds < 0 ? 'wall clock set back' : 'wall clock set forward')
      ownerOf(happening.owner)?.clock.jump(happening.seconds * 1_000)
      return
    case 'Restore':
      restore(stage, cast, happening, ms, limits.lost)
      return
    case 'Veto': {
      const executor = cast.executors.get(happening.peer)
      if (executor === undefined) return
      executor.rules.vetoes = true
      executor.owner.operator.wake()
      world.after(300, () => {
        executor.rules.vetoes = false
      })
      return
    }
    case 'Refuse': {
      const executor = cast.executors.get(happening.peer)
      if (executor === undefined) return
      executor.rules.refuses = true
      world.after(ms, () => {
        executor.rules.refuses = false
        executor.owner.operator.wake()
      })
      return
    }
    default:
      happening satisfies never
  }
}

function partition(
  { world, network, protocol }: Stage,
  cast: Cast,
  { peer, direction }: { peer: string; direction: 'Both' | 'ToPeer' | 'FromPeer' },
  ms: number,
): void {
  const ways = [
    ...(direction === 'FromPeer' ? [] : [['R', peer] as const]),
    ...(direction === 'ToPeer' ? [] : [[peer, 'R'] as const]),
  ]
  world.count(direction === 'Both' ? 'partition' : 'partition in one direction')
  for (const [from, to] of ways) network.cut(from, to)
  world.after(ms, () => {
    for (const [from, to] of ways) network.heal(from, to)
    const executor = cast.executors.get(peer)
    if (executor === undefined) return
    world.note(() => `HEAL ${peer}`)
    if (protocol.habits.endsOnReconnect) {
      executor.rules.reconnected = true
      executor.owner.operator.wake()
      world.after(300, () => {
        executor.rules.reconnected = false
      })
    }
    const valid = validLeases(cast, peer)
    if (valid.length > 0) world.count('a lease valid on both sides meets a heal')
    world.after(3_000, () => {
      if (validLeases(cast, peer).some((uid) => valid.includes(uid))) world.count('it survives the heal')
    })
  })
}

function validLeases(cast: Cast, peer: string): string[] {
  const remotes = cast.requester.store.view()
  return (cast.executors.get(peer)?.owner.store.view().list('guest') ?? [])
    .filter(({ value }) => value.decision === 'Granted')
    .map(({ name }) => name)
    .filter((uid) => {
      const state = remotes.get('remote', uid)?.value.status.lease?.state
      return state === 'Active' || state === 'Uncertain'
    })
}

function restore(
  { world }: Stage,
  cast: Cast,
  { owner: name, backSeconds }: { owner: string; backSeconds: number },
  ms: number,
  lost: Lost[],
): void {
  const fromMs = world.nowMs - backSeconds * 1_000
  const partners = name === 'R' ? ['X1', 'X2'] : ['R']
  // What both sides of a pair forget nobody knows (ADR 21).
  if (lost.some((window) => partners.includes(window.owner) && window.toMs >= fromMs && window.fromMs <= world.nowMs)) {
    world.count('restore left out: the other side forgot the same time')
    return
  }
  lost.push({ owner: name, fromMs, toMs: world.nowMs })
  world.count(name === 'R' ? 'etcd of the requester restored' : 'etcd of an executor restored')
  const owner = name === 'R' ? cast.requester : cast.executors.get(name)?.owner
  if (owner === undefined) return
  owner.operator.crash(ms)
  owner.link.crash(ms)
  owner.store.restore(backSeconds * 1_000)
  cast.executors.get(name)?.workers.restored()
}
