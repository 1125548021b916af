import { setTimeout as sleep } from 'node:timers/promises'
import { lineFaults, quiet, type RoundFault } from './faults.ts'
import type { Violation } from './judge.ts'
import type { Role } from './line.ts'
import { Scenario } from './scenario.ts'
import type { Stage } from './stage.ts'

export type Judged = {
  readonly name: string
  readonly faults: readonly string[]
  /** Those of them that did not happen to it: then it does not count as run. */
  readonly missed: readonly string[]
  readonly round: RoundFault
}

export type RoundResult = {
  readonly judged: readonly Judged[]
  /** Of all scenarios together. */
  readonly violations: readonly Violation[]
  /** How often each disturbance happened. */
  readonly counts: ReadonlyMap<string, number>
  readonly healed: number
  readonly survived: number
}

type Victim = { readonly role: Role; readonly restored: boolean } | undefined

/** As many scenarios at once as there are pairs: each on its own line, all with the same fault of an operator or etcd. */
export async function round(stage: Stage, fault: RoundFault, seed: number, count: number): Promise<RoundResult> {
  const victim = victimOf(fault)
  const scenarios = stage.pairs.slice(0, count).map((pair, index) => {
    const name = `s${seed}-${index}`
    const lineFault = lineFaults[(seed + index) % lineFaults.length] ?? 'short cut'
    return new Scenario(stage, pair, { name, seed: seed * 1_000 + index, fault: lineFault })
  })
  const before = stage.judge.violations.length
  const all = (each: (scenario: Scenario) => Promise<void>) => Promise.all(scenarios.map(each))

  await all(async (scenario) => {
    await Promise.all(['a', 'b'].map((label) => scenario.place(label)))
    await Promise.all(['a', 'b'].map((label) => scenario.granted(label)))
  })
  if (victim?.restored === true) {
    await stage.owners[victim.role].snapshot()
    await all(async (scenario) => {
      await scenario.place('c')
      await scenario.granted('c')
    })
  }
  // The requester's operator must be there for a deletion, so it goes down only then.
  const removals = scenarios.map(() => Promise.withResolvers<void>())
  const down = strike(stage, victim, scenarios, Promise.all(removals.map(({ promise }) => promise)))
  await Promise.all([
    down,
    ...scenarios.map((scenario, index) => disturb(scenario, victim, () => removals[index]?.resolve())),
  ])
  await all((scenario) => scenario.agreed())
  for (const scenario of scenarios) scenario.compare(healedStates.get(scenario) ?? [])

  await all(async (scenario) => {
    await scenario.place('d')
    await scenario.granted('d')
  })
  await all((scenario) => finish(scenario))
  const counts = new Map<string, number>()
  for (const { pair } of scenarios) {
    for (const [what, times] of pair.line.counts) counts.set(what, (counts.get(what) ?? 0) + times)
    pair.line.noise = quiet
  }
  await tombstonesGone(stage)
  const violations = stage.judge.violations.slice(before)
  return {
    judged: scenarios.map((scenario) => ({
      name: scenario.name,
      faults: [scenario.fault, fault],
      missed: [
        ...(lineFaulted(scenario) ? [] : [scenario.fault]),
        ...(victim === undefined || scenario.roundFaulted ? [] : [fault]),
      ],
      round: fault,
    })),
    violations,
    counts,
    healed: scenarios.reduce((sum, { healed }) => sum + healed, 0),
    survived: scenarios.reduce((sum, { survived }) => sum + survived, 0),
  }
}

function victimOf(fault: RoundFault): Victim {
  switch (fault) {
    case 'none':
      return undefined
    case 'requester crashes':
      return { role: 'requester', restored: false }
    case 'executor crashes':
      return { role: 'executor', restored: false }
    case 'etcd of the requester restored':
      return { role: 'requester', restored: true }
    case 'etcd of the executor restored':
      return { role: 'executor', restored: true }
    default:
      return fault satisfies never
  }
}

const healedStates = new WeakMap<Scenario, ReturnType<Scenario['valid']>>()

/** The scenario's own faults: its cut, if it has one, and a deletion in the middle of it. */
async function disturb(scenario: Scenario, victim: Victim, removed: () => void): Promise<void> {
  const { dice, fault, pair, leaseSeconds } = scenario
  const { line } = pair
  await sleep(dice.between(0, 1_000))
  const deletion = sleep(dice.between(200, 1_200)).then(() => scenario.remove('b'))
  const cutMs = leaseSeconds * 1_000 * cutShare(fault, dice.between(0, 1))
  switch (fault) {
    case 'short cut':
    case 'long cut':
      line.cut('Both')
      break
    case 'cut to the executor':
      line.cut('executor')
      break
    case 'cut to the requester':
      line.cut('requester')
      break
    default:
      break
  }
  const [heal] = await Promise.all([sleep(cutMs).then(() => heals(scenario)), deletion.finally(removed)])
  // Who was restored or restarted meanwhile may have ended what was valid.
  if (victim?.restored !== true) healedStates.set(scenario, heal)
}

function cutShare(fault: Scenario['fault'], chance: number): number {
  switch (fault) {
    case 'short cut':
      return 0.25 + 0.15 * chance
    case 'long cut':
      return 1.2 + 0.2 * chance
    case 'cut to the executor':
    case 'cut to the requester':
      return 0.4 + 0.6 * chance
    case 'reorder':
      return 1
    default:
      return 0.5
  }
}

function heals(scenario: Scenario): ReturnType<Scenario['valid']> {
  const valid = scenario.valid()
  if (scenario.fault === 'short cut') scenario.lineFaulted = valid.some(({ label }) => label === 'a')
  if (scenario.fault === 'long cut') scenario.lineFaulted = !valid.some(({ label }) => label === 'a')
  scenario.pair.line.heal()
  return valid
}

function lineFaulted({ fault, pair, lineFaulted: byCut }: Scenario): boolean {
  const happened = (...what: string[]) => what.some((each) => (pair.line.counts.get(each) ?? 0) > 0)
  switch (fault) {
    case 'short cut':
    case 'long cut':
      return byCut
    case 'cut to the executor':
    case 'cut to the requester':
      return happened('call cut', 'reply cut')
    default:
      return happened(fault)
  }
}

/** Crash and restart of an operator, with a restore in between or without; after the deletions. */
async function strike(
  stage: Stage,
  victim: Victim,
  scenarios: readonly Scenario[],
  removed: Promise<unknown>,
): Promise<void> {
  await removed
  if (victim === undefined) return
  const owner = stage.owners[victim.role]
  for (const scenario of scenarios) {
    scenario.roundFaulted = scenario.valid().some(({ label }) => label === (victim.restored ? 'c' : 'a'))
  }
  await owner.crash()
  if (victim.restored) {
    await owner.restore()
    while (!stage.watch.synced) await sleep(50)
    // What was placed after the snapshot must be forgotten.
    for (const scenario of scenarios) if (!scenario.forgot(victim.role, 'c')) scenario.roundFaulted = false
  } else await sleep((scenarios[0]?.dice.between(500, 2_500) ?? 0) | 0)
  await owner.run()
}

/** Everything is deleted: with the line, so that the Cancel stops it, or without, so that the lease must. */
async function finish(scenario: Scenario): Promise<void> {
  const { line } = scenario.pair
  if (scenario.endsAlone) line.cut('Both')
  await Promise.all(['a', 'b', 'c', 'd'].map((label) => scenario.remove(label)))
  await scenario.stopped()
  line.heal()
}

async function tombstonesGone({ watch, judge }: Stage): Promise<void> {
  const until = Date.now() + 60_000
  while (watch.tombstones.length > 0) {
    if (Date.now() > until) {
      for (const { metadata, spec } of watch.tombstones) {
        judge.fail('tombstone stays', spec.cancelled?.requestId ?? '', metadata.name)
      }
      return
    }
    await sleep(100)
  }
}
