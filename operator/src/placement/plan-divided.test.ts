import { expect, test } from 'vitest'
import { inferenceService, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { RemoteWork, RemoteWorkStatus } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import { modelState } from '../inferenceservice/model-state.ts'
import { revisionLabel } from '../inferenceservice/names.ts'
import { partLabel, remoteWorkName } from './names.ts'
import { ownerStatus } from './owners.ts'
import { type Placement, planPlacement } from './plan.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const at = (secondsAgo: number) => new Date(now - secondsAgo * 1000).toISOString()

const divided = (...peers: string[]) =>
  withSpec({
    placement: {
      strategy: 'OwnFirst',
      peers: peers.map((name) => ({ name, maxReplicas: 8 })),
      minOwners: 1,
      maxSharePerOwnerPermille: 1000,
      purpose: 'Inference',
      leaseSeconds: 60,
    },
  })

const old = inferenceService('chat', divided('university'))
const v2 = (service: InferenceService) => ({ ...service, spec: { ...service.spec, modelRef: { name: 'chat-v2' } } })

function plan(service: InferenceService, works: RemoteWork[], wanted: Record<string, number>, keepFailed = false) {
  const { name } = service.spec.modelRef
  return planPlacement({
    service,
    model: modelState(name, model(name, verified)),
    dataClass: 'Internal',
    works,
    now,
    revision: name === 'chat-v2' ? 'new00000' : 'old00000',
    shares: new Map(Object.entries(wanted).map(([peer, count]) => [peer, { wanted: count, keepFailed }])),
  })
}

type State = 'ready' | 'starting' | 'refused' | 'asked'

const statusOf = (state: State, replicas: number): RemoteWorkStatus => {
  const condition = (type: string, status: 'True' | 'False', reason: string) => ({
    ...{ type, status, reason, message: '' },
    lastTransitionTime: at(5),
  })
  if (state === 'asked') return {}
  if (state === 'refused') {
    const refusals = [{ reason: 'QuotaExceeded', message: 'the quota is used up' }]
    return {
      answer: { decision: 'Refused', sequence: 1, refusals },
      conditions: [condition('Granted', 'False', 'Refused'), condition('Ready', 'False', 'Refused')],
    }
  }
  const isReady = state === 'ready'
  return {
    answer: { decision: 'Granted', sequence: 1 },
    lease: { epoch: 1, ttlSeconds: 60, signedTime: at(5), state: 'Active' },
    replicas,
    readyReplicas: isReady ? replicas : 0,
    conditions: [
      condition('Granted', 'True', 'Granted'),
      condition('Ready', isReady ? 'True' : 'False', isReady ? 'Ready' : 'Progressing'),
    ],
  }
}

/** The works that a plan asks for, in a state. */
function made(service: InferenceService, { create }: Placement, state: State): RemoteWork[] {
  return create.map(({ peer, work, part = 0, revision = '' }) => ({
    apiVersion,
    kind: 'RemoteWork',
    metadata: {
      name: remoteWorkName({ name: service.metadata.name, uid: service.metadata.uid ?? '' }, peer, work, part),
      labels: { [revisionLabel]: revision, [partLabel]: String(part) },
      creationTimestamp: at(5),
    },
    spec: { peerRef: { name: peer }, work },
    status: statusOf(state, work.replicas),
  }))
}

const asked = ({ create }: Placement) => create.map(({ work }) => work.replicas)
const names = (works: readonly RemoteWork[]) => works.map(({ metadata }) => metadata.name)

test('what is missing is asked for in addition, and what runs is not touched', () => {
  const first = made(old, plan(old, [], { university: 2 }), 'ready')
  const more = plan(old, first, { university: 3 })
  expect(asked(more)).toEqual([1])
  expect(more.remove).toEqual([])
  const second = made(old, more, 'asked')
  expect(new Set(names([...first, ...second])).size).toBe(2)
  expect(plan(old, [...first, ...second], { university: 3 })).toMatchObject({ create: [], remove: [] })
})

test('fewer workers take the part that is as large, else a smaller one is asked for before the large one goes', () => {
  const two = made(old, plan(old, [], { university: 2 }), 'ready')
  const one = made(old, plan(old, two, { university: 3 }), 'ready')
  expect(names(plan(old, [...two, ...one], { university: 2 }).remove)).toEqual(names(one))
  const smaller = plan(old, two, { university: 1 })
  expect([asked(smaller), smaller.remove]).toEqual([[1], []])
  const coming = made(old, smaller, 'starting')
  expect(plan(old, [...two, ...coming], { university: 1 })).toMatchObject({ create: [], remove: [] })
  const there = made(old, smaller, 'ready')
  expect(names(plan(old, [...two, ...there], { university: 1 }).remove)).toEqual(names(two))
})

test('parts stay few', () => {
  let works: RemoteWork[] = []
  for (let wanted = 1; wanted <= 12; wanted++) {
    works.push(...made(old, plan(old, works, { university: wanted }), 'ready'))
    const { remove } = plan(old, works, { university: wanted })
    works = works.filter((each) => !remove.includes(each))
    expect(works.reduce((sum, { spec }) => sum + spec.work.replicas, 0)).toBe(wanted)
    expect(works.length).toBeLessThanOrEqual(4)
  }
})

test('what was refused goes when others take it, and stays while nobody does', () => {
  const first = made(old, plan(old, [], { university: 1 }), 'ready')
  const refused = made(old, plan(old, first, { university: 2 }), 'refused')
  expect(names(plan(old, [...first, ...refused], { university: 1 }).remove)).toEqual(names(refused))
  const kept = plan(old, [...first, ...refused], { university: 2 }, true)
  expect(kept).toMatchObject({ create: [], remove: [] })
  expect(ownerStatus(kept.owners[0] ?? none())).toMatchObject({
    readyReplicas: 1,
    wanted: 2,
    answer: 'Refused',
    refusals: [{ reason: 'QuotaExceeded' }],
  })
  const again = plan(old, [...first, ...refused], { university: 2 })
  expect(again.create).toMatchObject([{ work: { replicas: 1, attempt: 2 } }])
  expect(names(again.remove)).toEqual(names(refused))
})

const canary = (state: 'Progressing' | 'RolledBack', percent: number) =>
  withStatus({
    traffic: [
      { revision: 'old00000', percent: 100 - percent },
      ...(percent > 0 ? [{ revision: 'new00000', percent }] : []),
    ],
    rollout: { revision: 'new00000', state, step: 0, stepStartedTime: at(60) },
  })
const trying = (state: 'Progressing' | 'RolledBack', percent: number) =>
  v2(inferenceService('chat', divided('university'), canary(state, percent)))

test('in a canary the new revision gets its share of workers, and the old one stays as it is', () => {
  const before = made(old, plan(old, [], { university: 4 }), 'ready')
  const service = trying('Progressing', 25)
  const step = plan(service, before, { university: 4 })
  expect(step.create).toMatchObject([{ revision: 'new00000', work: { replicas: 1, models: [{ name: 'chat-v2' }] } }])
  expect(step.remove).toEqual([])
  const tried = made(service, step, 'ready')
  expect(plan(service, [...before, ...tried], { university: 4 })).toMatchObject({ create: [], remove: [] })
})

test('a peer that refuses the new revision makes the canary smaller and is not asked again; nothing else waits', () => {
  const service = v2(inferenceService('chat', divided('university', 'city'), canary('Progressing', 50)))
  const two = inferenceService('chat', divided('university', 'city'))
  const before = made(two, plan(two, [], { university: 2, city: 2 }), 'ready')
  const step = plan(service, before, { university: 2, city: 2 })
  expect(step.create).toMatchObject([{ peer: 'university' }, { peer: 'city' }])
  const refused = made(service, { ...step, create: step.create.slice(0, 1) }, 'refused')
  const next = plan(service, [...before, ...refused], { university: 2, city: 2 })
  expect(next.create).toMatchObject([{ peer: 'city' }])
  expect(next.remove).toEqual([])
})

test('when it is rolled back its works go at once, and more of the old one can be asked for', () => {
  const before = made(old, plan(old, [], { university: 2 }), 'ready')
  const tried = made(trying('Progressing', 50), plan(trying('Progressing', 50), before, { university: 2 }), 'ready')
  const service = trying('RolledBack', 0)
  const back = plan(service, [...before, ...tried], { university: 3 })
  expect(names(back.remove)).toEqual(names(tried))
  expect(back.create).toMatchObject([{ revision: 'old00000', work: { replicas: 1, models: [{ name: 'chat-v1' }] } }])
})

test('after the promotion old works stay until the new ones are settled', () => {
  const before = made(old, plan(old, [], { university: 2 }), 'ready')
  const service = v2(
    inferenceService('chat', divided('university'), withStatus({ traffic: [{ revision: 'new00000', percent: 100 }] })),
  )
  const step = plan(service, before, { university: 2 })
  expect(step).toMatchObject({ create: [{ revision: 'new00000', work: { replicas: 2 } }], remove: [] })
  expect(plan(service, [...before, ...made(service, step, 'starting')], { university: 2 }).remove).toEqual([])
  const done = plan(service, [...before, ...made(service, step, 'ready')], { university: 2 })
  expect(names(done.remove)).toEqual(names(before))
})

test('without a canary owners are updated one after the other; one that refuses is not waited for', () => {
  const two = inferenceService('chat', divided('university', 'city'))
  const before = made(two, plan(two, [], { university: 1, city: 1 }), 'ready')
  const service = v2(
    inferenceService(
      'chat',
      divided('university', 'city'),
      withStatus({ traffic: [{ revision: 'old00000', percent: 100 }] }),
    ),
  )
  const first = plan(service, before, { university: 1, city: 1 })
  expect(first.create).toMatchObject([{ peer: 'university' }])
  const starting = made(service, first, 'starting')
  expect(plan(service, [...before, ...starting], { university: 1, city: 1 }).create).toEqual([])
  const refused = made(service, first, 'refused')
  expect(plan(service, [...before, ...refused], { university: 1, city: 1 }, true).create).toMatchObject([
    { peer: 'city' },
  ])
})

test('work that stays the same under another revision gets its label when the old one has no traffic', () => {
  const works = made(old, plan(old, [], { university: 1 }), 'ready')
  for (const { metadata } of works) metadata.labels = { ...metadata.labels, [revisionLabel]: 'before00' }
  const told = (revision: string) =>
    inferenceService('chat', divided('university'), withStatus({ traffic: [{ revision, percent: 100 }] }))
  expect(plan(told('before00'), works, { university: 1 }).relabel).toEqual([])
  expect(plan(told('old00000'), works, { university: 1 }).relabel).toMatchObject([{ revision: 'old00000' }])
})

function none(): never {
  throw new Error('there is none')
}
