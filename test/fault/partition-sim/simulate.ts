import { Checks } from './checks.ts'
import { type ExecutorState, executorPass, type Rules } from './executor-operator.ts'
import { Network } from './network.ts'
import { createOwner, type Owner, type Stage } from './owner.ts'
import type { Protocol } from './protocol.ts'
import { type RequesterState, requesterPass } from './requester-operator.ts'
import { type Cast, type Executor, scheduleFaults } from './run-faults.ts'
import type { Scenario } from './scenario.ts'
import { deliverResult } from './sink.ts'
import { Workers } from './workers.ts'
import { Violation, World } from './world.ts'

export type Outcome = {
  readonly violation: { readonly check: string; readonly message: string } | undefined
  readonly counts: ReadonlyMap<string, number>
  readonly trace: readonly string[]
}

/** Share of the TTL that a kubelet may be behind; the protocol leaves a sixth. */
const slowestKubelet = 1 / 7

/** One run of a scenario against a protocol. The same scenario gives the same run. */
export function simulate(scenario: Scenario, protocol: Protocol, keepsTrace = false): Outcome {
  const world = new World(scenario.seed, keepsTrace)
  const checks = new Checks(world, scenario.workload)
  let uids = 0
  const stage: Stage = {
    world,
    network: new Network(world, scenario.network),
    checks,
    protocol,
    owners: new Map(),
    uid: (prefix) => `${prefix}${uids++}`,
  }
  try {
    const cast = createCast(stage, scenario)
    play(stage, cast, scenario)
    return { violation: undefined, counts: world.counts, trace: world.trace }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return {
      violation: { check: error.check, message: error.message },
      counts: world.counts,
      trace: world.trace,
    }
  }
}

function createCast(stage: Stage, scenario: Scenario): Cast {
  const { world, checks } = stage
  const { workload, leaseSeconds, drift } = scenario
  const requester: Owner<RequesterState> = createOwner<RequesterState>(stage, {
    name: 'R',
    peers: ['X1', 'X2'],
    driftPpm: drift.R,
    wallOffsetMs: 0,
    fresh: () => ({ works: new Map() }),
    pass: (view, owner) => requesterPass({ stage, owner, placing: { workload, leaseSeconds } }, view),
  })
  const executors = new Map<string, Executor>()
  for (const name of ['X1', 'X2'] as const) {
    const rules: Rules = { refuses: false, vetoes: false, reconnected: false }
    const owner: Owner<ExecutorState> = createOwner<ExecutorState>(stage, {
      name,
      peers: ['R'],
      driftPpm: drift[name],
      wallOffsetMs: Math.round(world.between(-2_000, 2_000)),
      fresh: () => ({ leases: new Map() }),
      pass: (view, self) => executorPass({ stage, owner: self, workers, rules }, view),
      changed: () => executors.get(name)?.workers.changed(),
    })
    const workers: Workers = new Workers({
      stage,
      owner: name,
      clock: owner.clock,
      store: () => owner.store,
      lagMs: world.between(10, leaseSeconds * 1_000 * slowestKubelet),
      deliver: (from, result, taken) => deliverResult(stage, requester, from, result, taken, workload),
    })
    executors.set(name, { owner, workers, rules })
    checks.deadlines.set(name, (uid) => {
      const memory = owner.operator.up ? owner.operator.memory.leases.get(uid) : undefined
      if (memory === undefined || !memory.renewed) return 0
      return owner.operator.bootMs + owner.clock.lasts(memory.deadlineMs)
    })
  }
  requester.store.write('work', 'w', 0, {
    current: undefined,
    attempt: 0,
    fence: undefined,
    counted: [],
    deleted: false,
  })
  return { requester, executors }
}

function play(stage: Stage, cast: Cast, scenario: Scenario): void {
  const { world, checks, network } = stage
  const ttlMs = scenario.leaseSeconds * 1_000
  const spanMs = ttlMs * 8
  const executors = [...cast.executors.values()].map(({ owner }) => owner)
  const operators = [cast.requester.operator, ...executors.map(({ operator }) => operator)]
  for (const operator of operators) operator.start()
  scheduleFaults(stage, cast, scenario, spanMs)
  world.run(spanMs + 1)
  world.note(() => 'ALL IS WELL from now on')
  network.options = { ...network.options, lossPermille: 0, duplicatePermille: 0, slowPermille: 0, delayMs: 40 }
  for (const { clock } of [cast.requester, ...executors]) clock.correct(world.nowMs)
  for (const operator of operators) operator.start()
  // One TTL until the requester is surely past its start, one for a lease that is over, one for a request that is lost.
  world.run(world.nowMs + ttlMs * 5 + 60_000)
  checks.quiet = true
  const roundBefore = cast.requester.store.view().get('work', 'w')?.value.fence?.round ?? 0
  world.run(world.nowMs + ttlMs * 3)
  converged(stage, cast, scenario, roundBefore)
  finish(stage, cast, scenario)
}

/** Both sides must agree on the one lease, and nothing else may run. */
function converged(stage: Stage, { requester, executors }: Cast, scenario: Scenario, roundBefore: number): void {
  const checks: Checks = stage.checks
  const view = requester.store.view()
  const work = view.get('work', 'w')?.value
  const current = work?.current === undefined ? undefined : view.get('remote', work.current)?.value
  const lease = current?.status.lease
  if (work === undefined || current === undefined || lease?.state !== 'Active') {
    checks.fail('converges', `the work is not active at the end: ${JSON.stringify(current?.status)}`)
  }
  for (const [name, { owner }] of executors) {
    for (const { name: uid, value: guest } of owner.store.view().list('guest')) {
      if (guest.decision !== 'Granted') continue
      if (name !== current.peer || uid !== work.current || guest.lease?.epoch !== lease.epoch) {
        checks.fail('converges', `${name} still has a lease for ${uid}, which R does not have`)
      }
    }
  }
  for (const running of checks.running) {
    if (running !== `${current.peer}/${work.current}`) checks.fail('orphan', `${running} runs and nobody wants it`)
  }
  if (checks.running.length === 0) checks.fail('converges', 'nothing runs at the end')
  if (scenario.workload === 'Train' && (work.fence?.round ?? 0) <= roundBefore) {
    checks.fail('converges', 'training does not go on')
  }
}

/** Deletes the work: at once here, soon there; bounded by the lease where the peer is cut off. */
function finish({ world, checks, network }: Stage, { requester }: Cast, { end, leaseSeconds }: Scenario): void {
  if (end === 'Keep') return
  if (end === 'DeleteWhileCut') {
    for (const peer of ['X1', 'X2']) {
      network.cut('R', peer)
      network.cut(peer, 'R')
    }
  }
  checks.quiet = false
  world.note(() => `DELETED by its user (${end})`)
  world.count(`deleted at the end: ${end}`)
  requester.store.patch('work', 'w', (work) => ({ ...work, deleted: true }))
  world.run(world.nowMs + 5_000)
  const left = requester.store.view().list('remote')
  if (left.length > 0) checks.fail('deletion waits', `${left.map(({ name }) => name)} still exist after 5 s`)
  if (end === 'Delete') {
    // The lag of kubelets and one more try of the links.
    world.run(world.nowMs + leaseSeconds * 1_000 * slowestKubelet + 2_000)
    if (checks.running.length > 0) checks.fail('cancel does not stop', `${checks.running} runs after a cancel`)
  } else {
    world.run(world.nowMs + leaseSeconds * 1_000 * 1.2 + 2_000)
    if (checks.running.length > 0) checks.fail('orphan', `${checks.running} runs, though its time is over`)
    world.run(world.nowMs + 70_000)
  }
  const tombs = requester.store.view().list('tomb')
  if (tombs.length > 0) checks.fail('tombstone stays', tombs.map(({ name }) => name).join(' '))
}
