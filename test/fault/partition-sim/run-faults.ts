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
  const isTrainRestored = workload === 'Train' && faults.some(({ happening }) => happening.what === 'Restore')
  for (const { at, happening } of faults) {
    const atMs = (at / 1_000) * spanMs
    stage.world.after(atMs, () => happen(stage, cast, happening, spanMs - atMs, { lost, isTrainRestored }))
  }
}

function happen(
  stage: Stage,
  cast: Cast,
  happening: Happening,
  leftMs: number,
  limits: { lost: Lost[]; isTrainRestored: boolean },
): void {
  const { world } = stage
  const ms = 'seconds' in happening ? Math.min(happening.seconds * 1_000, leftMs) : 0
  const ownerOf = (name: string) => (name === 'R' ? cast.requester : cast.executors.get(name)?.owner)
  world.faults++
  world.note(() => `FAULT ${JSON.stringify(happening)}`)
  switch (happening.what) {
    case 'Partition':
      partition(stage, cast, happening, ms)
      return
    case 'CrashOperator':
      world.count('operator crashed')
      ownerOf(happening.owner)?.operator.crash(ms)
      afterRestart(stage, cast, happening.owner, ms)
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
      // The one pair of faults that Train does not bear (ADR 21): an executor's wall clock set back beside a restore. The clock is
      // all that says how old a restored lease is.
      if (happening.seconds < 0 && happening.owner !== 'R' && limits.isTrainRestored) return
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
  stage: Stage,
  cast: Cast,
  { peer, direction }: { peer: string; direction: 'Both' | 'ToPeer' | 'FromPeer' },
  ms: number,
): void {
  const { world, network, protocol } = stage
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
    expectSurvival(stage, cast, peer, 'a heal')
  })
}

/**
 * A lease that both sides hold when a fault is over lives on, if there is time for an ask and no other fault: a link that comes back
 * ends nothing, and neither does a restart.
 */
function expectSurvival(stage: Stage, cast: Cast, peer: string, after: 'a heal' | 'a restart'): void {
  const { world, network, checks } = stage
  const executor = cast.executors.get(peer)
  const uid = cast.requester.store.view().get('work', 'w')?.value.current
  if (executor === undefined || uid === undefined || !isValid(cast, executor, uid)) return
  world.count(`a lease valid on both sides meets ${after}`)
  const { owner } = executor
  const memory = owner.operator.memory.leases.get(uid)
  const ttlMs = (owner.store.view().get('guest', uid)?.value.lease?.ttlSeconds ?? 0) * 1_000
  const { lossPermille, slowPermille, delayMs } = network.options
  const isCalm = lossPermille === 0 && slowPermille === 0 && delayMs < 100 && !network.isCut
  if (memory === undefined || !isCalm || !owner.operator.up || !owner.link.up) return
  if (!cast.requester.operator.up || !cast.requester.link.up) return
  if (owner.operator.isPaused || cast.requester.operator.isPaused) return
  const leftMs = owner.operator.bootMs + owner.clock.lasts(memory.deadlineMs) - world.nowMs
  if (leftMs < ttlMs / 5 + 4_000) return
  const { faults } = world
  world.after(leftMs + 1_000, () => {
    if (world.faults !== faults || executor.rules.vetoes || owner.store.view().get('guest', uid) === undefined) return
    if (!isValid(cast, executor, uid)) checks.fail('lost after the fault', `${uid} at ${peer} did not survive ${after}`)
    world.count(`it survives ${after}`)
  })
}

function isValid(cast: Cast, { owner }: Executor, uid: string): boolean {
  const guest = owner.store.view().get('guest', uid)?.value
  const lease = cast.requester.store.view().get('remote', uid)?.value.status.lease
  return guest?.decision === 'Granted' && lease?.state !== 'Ended' && lease?.epoch === guest.lease?.epoch
}

function restore(
  stage: Stage,
  cast: Cast,
  { owner: name, backSeconds }: { owner: string; backSeconds: number },
  ms: number,
  lost: Lost[],
): void {
  const { world } = stage
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
  afterRestart(stage, cast, name, ms)
}

/** When an owner is up again for a second, its leases should live. */
function afterRestart(stage: Stage, cast: Cast, name: string, ms: number): void {
  stage.world.after(ms + 1_000, () => {
    for (const peer of name === 'R' ? ['X1', 'X2'] : [name]) expectSurvival(stage, cast, peer, 'a restart')
  })
}
