import { expect, test } from 'vitest'
import { inferenceServiceSpecSchema } from '../api/inference-service.ts'
import type { RevisionWindow } from '../demand/demand.ts'
import { latencyBoundsMs } from '../gateway/demand/demand-report.ts'
import { decideRollout, type RolloutInput, type RolloutStatus } from './decide.ts'

const rollout: RolloutInput['rollout'] = {
  ...inferenceServiceSpecSchema.parse({ modelRef: { name: 'x' } }).rollout,
  strategy: 'Canary',
  steps: [
    { percent: 10, seconds: 60 },
    { percent: 50, seconds: 60 },
  ],
}
const start = Date.parse('2026-11-23T12:00:00Z')
const second = 1_000

/** Latencies all of about that many milliseconds. */
function latencies(requests: number, milliseconds: number): number[] {
  const counts: number[] = new Array(latencyBoundsMs.length + 1).fill(0)
  counts[latencyBoundsMs.findIndex((bound) => bound >= milliseconds)] = requests
  return counts
}

function seen(requests: number, changes: Partial<RevisionWindow> & { milliseconds?: number } = {}): RevisionWindow {
  const { milliseconds = 10, ...rest } = changes
  return {
    requests,
    failures: 0,
    mirrored: 0,
    disagreed: 0,
    latencyCounts: latencies(requests, milliseconds),
    ...rest,
  }
}

function demandOf(next: RevisionWindow | undefined, old: RevisionWindow | undefined, isComplete = true) {
  const revisions = new Map<string, RevisionWindow>()
  if (next !== undefined) revisions.set('new', next)
  if (old !== undefined) revisions.set('old', old)
  const arrivals = (next?.requests ?? 0) + (old?.requests ?? 0)
  return {
    isComplete: () => isComplete,
    window: (seconds: number) => ({ seconds, meanInFlight: 1, arrivals, revisions }),
  }
}

const quiet = { isComplete: () => true, window: () => undefined }
const silent = { isComplete: () => false, window: () => undefined }
const told = (percent: number) => [
  { revision: 'old', percent: 100 - percent },
  { revision: 'new', percent },
]
const inStep = (step: number, changes: Partial<RolloutStatus> = {}): RolloutStatus => ({
  revision: 'new',
  state: 'Progressing',
  step,
  stepStartedTime: new Date(start).toISOString(),
  orders: [],
  ...changes,
})

/** In the first step of a healthy canary, 30 s after it began; two workers are wanted. */
function input(changes: Partial<RolloutInput> = {}): RolloutInput {
  return {
    rollout,
    wanted: 2,
    next: { revision: 'new', ready: 1, replicas: 1, settled: true, trouble: undefined, newestReady: start },
    old: { revision: 'old', ready: 2 },
    before: inStep(0),
    told: told(10),
    orders: [],
    frozen: false,
    demand: demandOf(seen(50), seen(450)),
    now: start + 30 * second,
    ...changes,
  }
}
const next = (changes: Partial<RolloutInput['next']>) => ({ next: { ...input().next, ...changes } })
const waiting = { before: undefined, told: [{ revision: 'old', percent: 100 }] }

test('a canary waits for its first worker without any request', () => {
  const decided = decideRollout(input({ ...waiting, ...next({ ready: 0, replicas: 0, settled: false }) }))
  expect(decided).toMatchObject({
    outcome: 'Progressing',
    reason: 'CanaryWaiting',
    traffic: [{ revision: 'old', percent: 100 }],
    replicas: 1,
    status: { revision: 'new', state: 'Progressing', step: 0 },
  })
})

test('its first step begins, and its time with it, when its worker is ready', () => {
  const decided = decideRollout(input({ ...waiting, before: inStep(0) }))
  expect(decided).toMatchObject({ reason: 'CanaryProgressing', traffic: told(10) })
  expect(decided.status?.stepStartedTime).toBe(new Date(start + 30 * second).toISOString())
})

test('a step lasts its time', () => {
  expect(decideRollout(input()).status).toEqual(inStep(0))
  expect(decideRollout(input({ wanted: 1, now: start + 61 * second }))).toMatchObject({
    status: { step: 1 },
    traffic: told(50),
  })
})

test('a step ends only with enough requests of the new revision', () => {
  const decided = decideRollout(input({ now: start + 61 * second, demand: demandOf(seen(5), seen(45)) }))
  expect(decided).toMatchObject({ status: { step: 0 }, traffic: told(10) })
  expect(decided.message).toContain('waits for 20 requests')
})

test('without any traffic of the service the time alone decides', () => {
  expect(decideRollout(input({ wanted: 1, now: start + 61 * second, demand: quiet })).status?.step).toBe(1)
})

test('while gateways are silent a step is held, and nothing is rolled back', () => {
  const decided = decideRollout(input({ now: start + 600 * second, demand: silent }))
  expect(decided).toMatchObject({ outcome: 'Progressing', status: { step: 0 }, traffic: told(10) })
  const partial = decideRollout(input({ now: start + 61 * second, demand: demandOf(seen(50), seen(450), false) }))
  expect(partial.status?.step).toBe(0)
})

test('the next step waits for its workers, and gets them meanwhile', () => {
  const decided = decideRollout(input({ wanted: 4, now: start + 61 * second }))
  expect(decided).toMatchObject({ status: { step: 0 }, traffic: told(10), replicas: 4 })
})

test('after the last step it is promoted with all its workers', () => {
  const last = { before: inStep(1), told: told(50), now: start + 61 * second }
  expect(decideRollout(input(last))).toMatchObject({ outcome: 'Progressing', replicas: 2, traffic: told(50) })
  expect(decideRollout(input({ ...last, ...next({ ready: 2, replicas: 2 }) }))).toMatchObject({
    outcome: 'Promoted',
    reason: 'Promoted',
    status: undefined,
    traffic: [{ revision: 'new', percent: 100 }],
  })
})

test.each([
  ['a failure of 20 is chance', seen(20, { failures: 1 }), seen(180), undefined],
  ['five failures of 20 are not', seen(20, { failures: 5 }), seen(180), 'TooManyErrors'],
  ['all fail', seen(20, { failures: 20 }), seen(180), 'TooManyErrors'],
  ['all of too few fail', seen(19, { failures: 19 }), seen(180), undefined],
  ['both fail alike', seen(100, { failures: 30 }), seen(900, { failures: 270 }), undefined],
  ['one tenth more fails', seen(200, { failures: 40 }), seen(1800, { failures: 90 }), 'TooManyErrors'],
  ['the old one has no requests', seen(50, { failures: 20 }), undefined, 'TooManyErrors'],
  ['three times as slow', seen(50, { milliseconds: 40 }), seen(450), 'TooSlow'],
  ['half as slow again', seen(50, { milliseconds: 15 }), seen(450), undefined],
  ['slow, but too few to tell', seen(19, { milliseconds: 400 }), seen(450), undefined],
  ['twice nothing', seen(50, { milliseconds: 2 }), seen(450, { milliseconds: 0.5 }), undefined],
  ['nothing to compare the latency with', seen(50, { milliseconds: 400 }), seen(3), undefined],
])('%s', (_, newer, older, reason) => {
  const decided = decideRollout(input({ demand: demandOf(newer, older) }))
  if (reason === undefined) expect(decided.outcome).toBe('Progressing')
  else {
    expect(decided).toMatchObject({
      outcome: 'RolledBack',
      reason,
      replicas: 0,
      traffic: [{ revision: 'old', percent: 100 }],
      status: { state: 'RolledBack' },
    })
    expect(decided.status?.message).toMatch(new RegExp(`^${reason}: .*\\d+ `))
  }
})

test('answers that differ on mirrored requests roll back, a single one does not', () => {
  const mirrored = { ...rollout, mirror: { permille: 100, tolerance: '0.001', maxDisagreementPermille: 10 } }
  const of = (disagreed: number) =>
    decideRollout(input({ rollout: mirrored, demand: demandOf(seen(0, { mirrored: 40, disagreed }), seen(400)) }))
      .reason
  expect(of(1)).toBe('CanaryProgressing')
  expect(of(10)).toBe('Disagrees')
})

test('the latency of the first seconds of each worker does not count', () => {
  const slow = demandOf(seen(50, { milliseconds: 400 }), seen(450))
  expect(decideRollout(input({ demand: slow, now: start + 3 * second })).outcome).toBe('Progressing')
  expect(decideRollout(input({ demand: slow, now: start + 5 * second })).reason).toBe('TooSlow')
  const joined = next({ ready: 2, newestReady: start + 28 * second })
  expect(decideRollout(input({ demand: slow, ...joined })).outcome).toBe('Progressing')
})

test('workers that do not come up roll back whether or not gateways report', () => {
  const decided = decideRollout(
    input({ ...waiting, ...next({ ready: 0, trouble: 'pod x keeps ending' }), demand: silent }),
  )
  expect(decided).toMatchObject({ outcome: 'RolledBack', reason: 'NotReady' })
  expect(decided.message).toContain('pod x keeps ending')
})

test('what was rolled back stays so until a retry is ordered, and each order counts once', () => {
  const before = inStep(0, { state: 'RolledBack', message: 'TooSlow: 9 of 10', orders: ['retry=new@1'] })
  const rolledBack = { before, told: [{ revision: 'old', percent: 100 }] }
  expect(decideRollout(input({ ...rolledBack, orders: ['retry=new@1'] }))).toMatchObject({
    outcome: 'RolledBack',
    reason: 'TooSlow',
    status: before,
  })
  const again = decideRollout(input({ ...rolledBack, orders: ['retry=new@2'] }))
  expect(again).toMatchObject({ outcome: 'Progressing', status: { state: 'Progressing', orders: ['retry=new@2'] } })
  expect(again.status?.message).toBeUndefined()
})

test('a promotion that is ordered asks for workers, not for figures', () => {
  const bad = demandOf(seen(50, { failures: 50 }), seen(450))
  const waits = decideRollout(input({ orders: ['promote=new'], demand: bad }))
  expect(waits).toMatchObject({ outcome: 'Progressing', replicas: 2, traffic: told(10) })
  const done = decideRollout(input({ orders: ['promote=new'], demand: bad, ...next({ ready: 2, replicas: 2 }) }))
  expect(done.outcome).toBe('Promoted')
  expect(
    decideRollout(input({ orders: ['promote=new'], before: inStep(0, { orders: ['promote=new'] }) })).replicas,
  ).toBe(1)
})

test('an abort that is ordered rolls back', () => {
  expect(decideRollout(input({ orders: ['abort=new'] }))).toMatchObject({ outcome: 'RolledBack', reason: 'Aborted' })
})

test('a pause holds the step, and yet a bad revision goes', () => {
  const paused = { rollout: { ...rollout, paused: true }, now: start + 600 * second }
  expect(decideRollout(input(paused))).toMatchObject({
    reason: 'CanaryPaused',
    status: { state: 'Paused', step: 0 },
    traffic: told(10),
  })
  expect(decideRollout(input({ ...paused, ...waiting })).traffic).toEqual([{ revision: 'old', percent: 100 }])
  const bad = demandOf(seen(50, { failures: 50 }), seen(450))
  expect(decideRollout(input({ ...paused, demand: bad })).outcome).toBe('RolledBack')
})

test.each([
  [1, 5, 1],
  [10, 5, 1],
  [30, 25, 10],
  [4, 50, 4],
  [4, 99, 4],
])('of %i workers and %i percent the new revision gets %i', (wanted, percent, replicas) => {
  const one = { ...rollout, steps: [{ percent, seconds: 60 }] }
  expect(decideRollout(input({ rollout: one, wanted })).replicas).toBe(replicas)
})

test('scaled to zero nothing is decided, and nothing is forgotten', () => {
  const decided = decideRollout(
    input({ wanted: 0, old: { revision: 'old', ready: 0 }, ...next({ ready: 0 }), now: start + 6_000 * second }),
  )
  expect(decided).toMatchObject({ outcome: 'Progressing', traffic: told(10), replicas: 0, status: inStep(0) })
})

test('while the old revision has no worker the new one serves, even a bad one', () => {
  const old = { revision: 'old', ready: 0 }
  expect(decideRollout(input({ old })).traffic).toEqual(told(100))
  const bad = demandOf(seen(50, { failures: 50 }), seen(450))
  expect(decideRollout(input({ old, demand: bad }))).toMatchObject({ outcome: 'Progressing', traffic: told(100) })
  expect(decideRollout(input({ old, ...waiting })).traffic).toEqual(told(100))
})

test('while the model cannot be served nothing new begins, and a bad revision still goes', () => {
  expect(decideRollout(input({ frozen: true, now: start + 61 * second })).status?.step).toBe(0)
  expect(decideRollout(input({ frozen: true, ...next({ ready: 0, trouble: 'lost' }) })).outcome).toBe('RolledBack')
})

test('requests of an earlier try do not count against a retry', () => {
  const asked: number[] = []
  const demand = { isComplete: () => true, window: (seconds: number) => void asked.push(seconds) }
  decideRollout(input({ demand, now: start + 7 * second }))
  expect(Math.max(...asked)).toBeLessThanOrEqual(7)
})

test('steps that a user took away meanwhile do not confuse it', () => {
  const shorter = { ...rollout, steps: rollout.steps.slice(0, 1) }
  expect(decideRollout(input({ rollout: shorter, before: inStep(1), told: told(50) })).traffic).toEqual(told(10))
})

test('the figures of a step that ended stay in the message', () => {
  const decided = decideRollout(input({ wanted: 1, now: start + 61 * second }))
  expect(decided.message).toContain('step 2 of 2: 50 % of the requests go to revision new; step 1: new: 50 requests')
})
