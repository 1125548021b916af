import { expect, test } from 'vitest'
import { inferenceService, suspended, withGpus, withSpec } from '../../../test/builders/inference-service.ts'
import { model, verified, withSource, withVerdict } from '../../../test/builders/model.ts'
import { withMetadata } from '../../../test/builders/object.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { RemoteWork, RemoteWorkStatus } from '../api/remote-work.ts'
import type { RemoteWorkConditionType, RemoteWorkReason } from '../api/remote-work-reasons.ts'
import { apiVersion, type Condition } from '../api/resource.ts'
import { modelState } from '../inferenceservice/model-state.ts'
import { remoteWorkName } from './names.ts'
import { ownerStatus, peersReady } from './owners.ts'
import { type PlacementInput, planPlacement } from './plan.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const at = (secondsAgo: number) => new Date(now - secondsAgo * 1000).toISOString()

const placed = (replicas: number, peer = 'university') =>
  withSpec({
    placement: {
      strategy: 'OwnFirst',
      peers: [{ name: peer, replicas }],
      minOwners: 1,
      maxSharePerOwnerPermille: 1000,
      purpose: 'Inference',
      leaseSeconds: 60,
    },
  })

function plan(
  service: InferenceService,
  works: RemoteWork[] = [],
  more: Partial<Omit<PlacementInput, 'model'>> & { model?: Model } = {},
) {
  const { model: found = model('chat-v1', verified), ...rest } = more
  const state = modelState('chat-v1', found)
  return planPlacement({ service, dataClass: 'Internal', works, now, ...rest, model: state })
}

type Says = [RemoteWorkConditionType, Condition['status'], RemoteWorkReason]

/** The RemoteWork that is planned for the service, in a state. */
function workFor(
  service: InferenceService,
  says: Says[] = [],
  status: RemoteWorkStatus = {},
  secondsAgo = 3600,
): RemoteWork {
  const [made] = plan(service).create
  if (made === undefined) throw new Error('nothing is planned')
  const { name, uid = '' } = service.metadata
  const conditions = says.map(([type, value, reason]) => ({
    type,
    status: value,
    reason,
    message: `${reason} it is`,
    lastTransitionTime: at(secondsAgo),
  }))
  return {
    apiVersion,
    kind: 'RemoteWork',
    metadata: { name: remoteWorkName({ name, uid }, made.peer, made.work), namespace: 'default' },
    spec: { peerRef: { name: made.peer }, work: made.work },
    status: { ...status, conditions },
  }
}

const running: Says[] = [
  ['Delivered', 'True', 'Delivered'],
  ['Granted', 'True', 'Granted'],
  ['Running', 'True', 'Running'],
  ['Ready', 'True', 'Ready'],
]
const ready = { replicas: 2, readyReplicas: 2, answer: { decision: 'Granted' as const, sequence: 1 } }
const refused = (...reasons: string[]): RemoteWorkStatus => ({
  answer: { decision: 'Refused', sequence: 1, refusals: reasons.map((reason) => ({ reason, message: 'why' })) },
})
const saysRefused: Says[] = [
  ['Delivered', 'True', 'Delivered'],
  ['Granted', 'False', 'Refused'],
  ['Ready', 'False', 'Refused'],
]

test('a peer is asked for what the service says, with the digests of the model, and nothing about pods', () => {
  const service = inferenceService('chat', placed(2), withGpus(1))
  const [made] = plan(service).create
  expect(made).toMatchObject({
    peer: 'university',
    work: { workload: 'Serve', dataClass: 'Internal', replicas: 2, leaseSeconds: 60, attempt: 1 },
  })
  expect(made?.work.models).toEqual([
    {
      name: 'chat-v1',
      format: 'ONNX',
      files: model('chat-v1').spec.files,
      entrypoint: 'model.onnx',
      source: 'Requester',
    },
  ])
  expect(made?.work.resources).toEqual({ limits: { 'nvidia.com/gpu': '1' } })
})

test('while nothing changes, nothing is made and nothing is deleted', () => {
  const service = inferenceService('chat', placed(2))
  expect(plan(service, [workFor(service)])).toMatchObject({ create: [], remove: [] })
})

test.each<[string, Model, string]>([
  ['is not verified yet', model('chat-v1'), 'ModelNotReady'],
  ['is rejected', model('chat-v1', withVerdict('False', 'DigestMismatch')), 'ModelRejected'],
  ['lies on a claim', model('chat-v1', verified, withSource({ pvc: { claimName: 'c', path: '' } })), 'claim'],
])('a model that %s is asked of nobody; what runs stays', (_, found, words) => {
  const service = inferenceService('chat', placed(2))
  const before = workFor(service, running, ready)
  const fresh = plan(service, [], { model: found })
  expect(fresh.create).toEqual([])
  expect(ownerStatus(fresh.owners[0] ?? never())).toMatchObject({
    reason: 'NotPlaced',
    answer: 'Pending',
    lease: 'None',
  })
  expect(ownerStatus(fresh.owners[0] ?? never()).message).toContain(words)
  expect(plan(service, [before], { model: found }).remove).toEqual([])
})

test.each<[string, InferenceService]>([
  ['the entry is removed', inferenceService('chat')],
  ['it is 0', inferenceService('chat', placed(0))],
  ['the service is suspended', inferenceService('chat', placed(2), suspended)],
])('when %s, the work is deleted', (_, service) => {
  const work = workFor(inferenceService('chat', placed(2)))
  expect(plan(service, [work])).toMatchObject({ create: [], remove: [work], owners: [] })
})

test('what is being deleted counts no more', () => {
  const service = inferenceService('chat', placed(2))
  const work = workFor(service)
  work.metadata.deletionTimestamp = at(1)
  expect(plan(service, [work])).toMatchObject({ create: [{ peer: 'university' }], remove: [] })
})

const old = inferenceService('chat', placed(2))
const changed = inferenceService('chat', placed(3))

test('a changed service is asked for anew, and the old work stays until the new is ready', () => {
  const before = workFor(old, running, ready)
  expect(plan(changed, [before])).toMatchObject({ create: [{ work: { replicas: 3 } }], remove: [] })
  const next = workFor(changed)
  expect(plan(changed, [before, next])).toMatchObject({
    create: [],
    remove: [],
    owners: [{ current: next, superseded: before }],
  })
  const done = workFor(changed, running, { ...ready, replicas: 3, readyReplicas: 3 })
  expect(plan(changed, [before, done])).toMatchObject({ create: [], remove: [before] })
})

test('while the new work is refused, the old one stays, and the status says both', () => {
  const before = workFor(old, running, ready)
  const { remove, owners } = plan(changed, [before, workFor(changed, saysRefused, refused('PurposeNotAllowed'))])
  expect(remove).toEqual([])
  const status = ownerStatus(owners[0] ?? never())
  expect(status).toMatchObject({
    answer: 'Refused',
    readyReplicas: 2,
    wanted: 3,
    refusals: [{ reason: 'PurposeNotAllowed' }],
  })
  expect(status.message).toContain(`${before.metadata.name}, the state before, keeps running with 2 ready workers`)
})

test.each<[string[], boolean]>([
  [['QuotaExceeded'], true],
  [['QuotaExceeded', 'TooManyLeases', 'NotIdle'], true],
  [['QuotaExceeded', 'DataClassNotAllowed'], false],
])('a refusal for %s makes the old work give way: %s', (reasons, gives) => {
  const before = workFor(old, running, ready)
  const { remove } = plan(changed, [before, workFor(changed, saysRefused, refused(...reasons))])
  expect(remove).toEqual(gives ? [before] : [])
})

test('money that only the old work takes makes it give way', () => {
  const before = workFor(old, running, ready)
  const next = workFor(changed, [['Delivered', 'False', 'SpendLimit']])
  expect(plan(changed, [before, next]).remove).toEqual([before])
})

test('of several old states the one that serves stays', () => {
  const first = workFor(old, running, ready)
  const second = workFor(changed)
  const third = workFor(inferenceService('chat', placed(4)))
  const { remove, owners } = plan(inferenceService('chat', placed(4)), [second, third, first])
  expect(remove).toEqual([second])
  expect(owners).toMatchObject([{ current: third, superseded: first }])
})

test('a raised data class is asked for anew, and the old work does not stay', () => {
  const before = workFor(old, running, ready)
  const { create, remove } = plan(old, [before], { dataClass: 'Confidential' })
  expect(create).toMatchObject([{ work: { dataClass: 'Confidential' } }])
  expect(remove).toEqual([before])
})

const over = (reason: RemoteWorkReason, delivered: RemoteWorkReason = 'Delivered'): Says[] => [
  ['Delivered', delivered === 'Delivered' ? 'True' : 'False', delivered],
  ['Granted', 'False', reason],
]

test.each<[RemoteWorkReason, RemoteWorkReason, string[], boolean]>([
  ['Cancelled', 'Delivered', [], true],
  ['Cancelled', 'EgressDenied', [], false],
  ['Cancelled', 'PeerNotReady', [], false],
  ['LeaseExpired', 'Delivered', [], true],
  ['RequestExpired', 'Delivered', [], true],
  ['Ended', 'Delivered', ['Preempted'], true],
  ['Ended', 'Delivered', ['Vetoed'], false],
  ['Refused', 'Delivered', ['Frozen'], false],
])('work that is %s (%s, for %s) is asked for again: %s', (reason, delivered, refusals, again) => {
  const status = refusals.length > 0 ? refused(...refusals) : {}
  const work = workFor(old, over(reason, delivered), status)
  const { create, remove } = plan(old, [work])
  expect(create).toHaveLength(again ? 1 : 0)
  expect(remove).toEqual(again ? [work] : [])
  if (again) expect(create[0]?.work.attempt).toBe(2)
})

test('it is asked for again after a while, longer each time', () => {
  const pause = (attempt: number) => {
    const work = workFor(old, over('LeaseExpired'), {}, 1)
    work.spec.work.attempt = attempt
    return plan(old, [work]).afterSeconds
  }
  expect([pause(1), pause(2), pause(3), pause(20)]).toEqual([4, 9, 19, 299])
})

test('names differ by service, peer, state and attempt, and are short', () => {
  const [made] = plan(old).create
  const work = made?.work ?? never()
  const long = 'a'.repeat(40)
  const names = [
    remoteWorkName({ name: 'chat', uid: '1' }, 'university', work),
    remoteWorkName({ name: 'chat', uid: '2' }, 'university', work),
    remoteWorkName({ name: 'chat', uid: '1' }, 'city', work),
    remoteWorkName({ name: 'chat', uid: '1' }, 'university', { ...work, attempt: 2 }),
    remoteWorkName({ name: long, uid: '1' }, long, work),
  ]
  expect(new Set(names).size).toBe(names.length)
  expect(names[0]).toMatch(/^chat-university-[0-9a-f]{8}$/)
  expect(names.every((name) => name.length <= 253)).toBe(true)
})

test('the sum names the first peer that is not ready; a lost link makes it Unknown, not False', () => {
  const sum = (...works: RemoteWork[]) =>
    peersReady(works.map((current, i) => ownerStatus({ peer: `p${i}`, wanted: 2, current })))
  const fine = workFor(old, running, ready)
  const lost = workFor(old, [['Ready', 'Unknown', 'LeaseUncertain']])
  expect(peersReady([])).toBeUndefined()
  expect(sum(fine)).toMatchObject({ status: 'True', reason: 'PeersReady' })
  expect(sum(fine, lost)).toMatchObject({ status: 'Unknown', reason: 'LeaseUncertain' })
  expect(sum(lost, workFor(old, saysRefused))).toMatchObject({ status: 'False', reason: 'PeerRefused' })
})

test('a later service of the same name is another service', () => {
  const service = inferenceService('chat', placed(2), withMetadata({ uid: 'another' }))
  expect(workFor(service).metadata.name).not.toBe(workFor(old).metadata.name)
})

function never(): never {
  throw new Error('there is none')
}
