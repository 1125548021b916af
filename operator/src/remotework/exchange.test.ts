import { beforeEach, expect, test } from 'vitest'
import { egressPolicy } from '../../../test/builders/egress-policy.ts'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import { remoteWork } from '../../../test/builders/remote-work.ts'
import { contentOf, type Delivery, scriptedPeer, sealOf } from '../../../test/builders/scripted-peer.ts'
import type { EgressPolicy } from '../api/egress-policy.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import { dataClassLabel } from '../api/owner-scalars.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork, ToExecutor } from '../api/remote-work.ts'
import { createSpending } from '../egresspolicy/spending.ts'
import { openMessage } from '../federation/open-message.ts'
import { conditionOf } from '../kube/conditions.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Live } from '../kube/resource.ts'
import type { Memory } from './draft.ts'
import { exchange } from './exchange.ts'

const { signal } = new AbortController()
const began = Date.parse('2026-03-01T12:00:00Z')
const [us, university, stranger] = await Promise.all(
  ['clinic', 'university', 'stranger'].map((name) => testOwner(name, { now: began })),
)
if (us === undefined || university === undefined || stranger === undefined) throw new Error('three owners')

const live = <T extends { metadata: object }>(object: T) => object as T & Live

function connected(owner: TestOwner): Peer {
  const peer = peerOf(owner, 'university')
  peer.status?.conditions?.push({
    type: 'Connected',
    status: 'True',
    reason: 'Connected',
    message: '',
    lastTransitionTime: '2026-03-01T12:00:00Z',
  })
  return peer
}

/** A requester with one RemoteWork, whose API server is this object. */
function world(owner: { us: TestOwner; university: TestOwner }) {
  const clock = createManualClock(began)
  const problems: string[] = []
  const seen = {
    clock,
    problems,
    peer: connected(owner.university) as Peer | undefined,
    identity: identityOf(owner.us) as OwnerIdentity,
    policies: [egressPolicy('p')] as EgressPolicy[],
    dataClass: 'Internal',
    work: live(remoteWork('w', { leaseSeconds: 60 })) as Live<RemoteWork>,
    memory: undefined as Memory | undefined,
    afterMs: Number.POSITIVE_INFINITY,
    says: scriptedPeer(owner.university, owner.us, clock),
    /** Reconciles and stores what comes of it. */
    async look() {
      const { status, memory, afterMs } = await exchange(
        seen.work,
        seen.memory,
        {
          seal: sealOf(owner.us, clock),
          openMessage,
          now: { wallMs: clock.now(), monotonicMs: clock.monotonic() },
          startMs: 0,
          onProblem: (kind, { reason }) => problems.push(`${kind} ${reason}`),
          peers: { get: () => (seen.peer === undefined ? undefined : live(seen.peer)) },
          identities: { get: () => live(seen.identity) },
          policies: seen.policies,
          namespace: {
            apiVersion: 'v1',
            kind: 'Namespace',
            metadata: { name: 'default', labels: { [dataClassLabel]: seen.dataClass } },
          },
          spending: createSpending(() => [seen.work]),
        },
        signal,
      )
      const { inbox, delivered } = seen.work.status ?? {}
      seen.work = {
        ...seen.work,
        status: { ...status, ...(inbox !== undefined && { inbox }), ...(delivered !== undefined && { delivered }) },
      }
      seen.memory = memory
      seen.afterMs = afterMs
      return status
    },
    /** Puts a message into the inbox, and looks. */
    async hears(message: Delivery) {
      const inbox = [...(seen.work.status?.inbox ?? []).filter(({ kind }) => kind !== message.kind), message]
      seen.work = { ...seen.work, status: { ...seen.work.status, inbox } }
      return seen.look()
    },
    outgoing: (kind: ToExecutor) => seen.work.status?.outbox?.find((entry) => entry.kind === kind)?.envelope ?? '',
    state: (type: string) => {
      const condition = conditionOf(seen.work.status?.conditions, type)
      return `${condition?.status} ${condition?.reason}`
    },
    /** Asked, and granted for 60 s. */
    async granted(lease: { epoch?: number; ttlSeconds?: number } = {}) {
      await seen.look()
      await seen.hears(await seen.says.grant(seen.outgoing('Request'), lease))
    },
  }
  return seen
}

let it = world({ us, university })
beforeEach(() => {
  it = world({ us, university })
})

test('without an EgressPolicy nothing is signed, and all reasons are said', async () => {
  it.policies = [egressPolicy('p', { dataClasses: ['Public'], workloads: ['Train'] })]
  const status = await it.look()
  expect(status.outbox).toBeUndefined()
  expect(it.state('Delivered')).toBe('False EgressDenied')
  expect(it.state('Ready')).toBe('False EgressDenied')
  const { message } = conditionOf(status.conditions, 'Delivered') ?? {}
  expect(message).toContain('Public data, not Internal')
  expect(message).toContain('Train, not Serve')
})

test('a request is signed once, for the peer alone, and names the policy that allows it', async () => {
  const status = await it.look()
  expect(status.egressPolicyName).toBe('p')
  expect(contentOf(it.outgoing('Request'))).toMatchObject({
    requestId: it.work.metadata.uid,
    work: it.work.spec.work,
    audience: { trustDomain: university.bundle.trustDomain, clusterName: 'main' },
  })
  expect(it.state('Delivered')).toBe('Unknown Waiting')
  const first = it.outgoing('Request')
  it.clock.advance(5_000)
  await it.look()
  expect(it.outgoing('Request')).toBe(first)
})

test('what the link says of the delivery is shown', async () => {
  const { outbox = [] } = await it.look()
  const sequence = outbox[0]?.sequence ?? 0
  it.work = {
    ...it.work,
    status: { ...it.work.status, delivered: [{ kind: 'Request', sequence: 0, refusal: 'TooMany' }] },
  }
  await it.look()
  expect(it.state('Delivered')).toBe('False RefusedByLink')
  it.work = { ...it.work, status: { ...it.work.status, delivered: [{ kind: 'Request', sequence }] } }
  await it.look()
  expect(it.state('Delivered')).toBe('True Delivered')
  expect(it.state('Granted')).toBe('Unknown Deciding')
})

test('all reasons of a refusal are kept; granted later, the work runs', async () => {
  await it.look()
  const refused = await it.hears(await it.says.refuse(it.outgoing('Request'), 'OutsideWindow', 'QuotaExceeded'))
  expect(refused.answer?.refusals?.map(({ reason }) => reason)).toEqual(['OutsideWindow', 'QuotaExceeded'])
  expect(it.state('Granted')).toBe('False Refused')
  const granted = await it.hears(await it.says.grant(it.outgoing('Request')))
  expect(granted.lease).toMatchObject({ epoch: 1, ttlSeconds: 60, state: 'Active' })
  expect(it.state('Granted')).toBe('True Granted')
  expect(it.state('Running')).toBe('False Progressing')
  const { uid } = it.work.metadata
  await it.hears(await it.says.report(uid, 1, { replicas: 1, reason: 'ModelLoadFailed', message: 'opset 99' }))
  expect(it.state('Running')).toBe('False Failed')
  const status = await it.hears(await it.says.report(uid, 1, { replicas: 1, readyReplicas: 1, gpuSeconds: 7 }))
  expect(status).toMatchObject({ replicas: 1, readyReplicas: 1, gpuSeconds: 7 })
  expect(it.state('Running')).toBe('True Running')
})

test('each ask is answered once, with its own nonce', async () => {
  await it.granted()
  const { uid } = it.work.metadata
  await it.hears(await it.says.askRenewal(uid, 1))
  const first = contentOf(it.outgoing('Renewal'))
  await it.clock.advance(20_000)
  await it.look()
  expect(contentOf(it.outgoing('Renewal'))).toEqual(first)
  const status = await it.hears(await it.says.askRenewal(uid, 1))
  expect(contentOf(it.outgoing('Renewal'))).not.toEqual(first)
  expect(status.lease?.signedTime).toBe('2026-03-01T12:00:20.000Z')
  await it.hears(await it.says.askRenewal(uid, 2))
  expect(contentOf(it.outgoing('Renewal')).epoch).toBe(1)
})

test('a silent peer makes the lease uncertain, then over; nothing is deleted, and a late word does not bring it back', async () => {
  await it.granted()
  const { uid } = it.work.metadata
  await it.hears(await it.says.report(uid, 1, { replicas: 1, readyReplicas: 1 }))
  await it.clock.advance(it.afterMs)
  const uncertain = await it.look()
  expect(it.state('Granted')).toBe('Unknown LeaseUncertain')
  expect(it.state('Running')).toBe('Unknown NotKnown')
  expect(it.state('Ready')).toBe('Unknown LeaseUncertain')
  expect(uncertain.readyReplicas).toBe(1)
  expect(it.outgoing('Cancel')).toBe('')
  await it.clock.advance(it.afterMs)
  const over = await it.look()
  expect(it.state('Granted')).toBe('False LeaseExpired')
  expect(over.readyReplicas).toBe(0)
  await it.hears(await it.says.askRenewal(uid, 1))
  expect(it.outgoing('Renewal')).toBe('')
  await it.hears(await it.says.grant(it.outgoing('Request'), { epoch: 2 }))
  expect(contentOf(it.outgoing('Cancel'))).toMatchObject({ requestId: uid })
})

test('a peer that is heard again in time is certain again', async () => {
  await it.granted()
  await it.clock.advance(it.afterMs)
  await it.look()
  expect(it.state('Granted')).toBe('Unknown LeaseUncertain')
  await it.hears(await it.says.askRenewal(it.work.metadata.uid, 1))
  expect(it.state('Granted')).toBe('True Granted')
})

test('without a connection the lease stays, and how it runs is not known', async () => {
  await it.granted()
  it.peer = peerOf(university, 'university')
  await it.look()
  expect(it.state('Granted')).toBe('True Granted')
  expect(it.state('Running')).toBe('Unknown NotKnown')
})

test('the end that the peer says is shown with its reasons', async () => {
  await it.granted()
  const refusals = [{ reason: 'Preempted', message: 'a local pod needs it' }]
  const lease = { epoch: 1, attempt: 1, ttlSeconds: 60, incarnation: 0 }
  const status = await it.hears(await it.says.answer(it.outgoing('Request'), { decision: 'Ended', refusals, lease }))
  expect(status.answer?.refusals).toEqual(refusals)
  expect(status.lease?.state).toBe('Ended')
  expect(it.state('Granted')).toBe('False Ended')
})

test.each<[string, () => void]>([
  ['the EgressPolicy is gone', () => it.policies.splice(0)],
  ['the EgressPolicy is suspended', () => it.policies.splice(0, 1, egressPolicy('p', { suspend: true }))],
  ['the data class is raised', () => Object.assign(it, { dataClass: 'Confidential' })],
])('when %s, what runs is cancelled, and nothing is renewed', async (_, change) => {
  await it.granted()
  change()
  const status = await it.look()
  expect(status.outbox?.map(({ kind }) => kind)).toEqual(['Cancel'])
  expect(status.lease?.state).toBe('Ended')
  expect(it.state('Delivered')).toBe('False EgressDenied')
  expect(it.state('Granted')).toBe('False Cancelled')
  await it.hears(await it.says.askRenewal(it.work.metadata.uid, 1))
  expect(it.work.status?.outbox?.map(({ kind }) => kind)).toEqual(['Cancel'])
})

test.each<[string, () => void]>([
  ['the Peer', () => Object.assign(it.peer?.spec ?? {}, { suspend: true })],
  ['the Identity', () => Object.assign(it.identity.spec, { suspend: true })],
])('while %s is frozen nothing is signed; the lease runs out', async (_, freeze) => {
  await it.granted()
  const before = it.work.status?.outbox
  freeze()
  await it.hears(await it.says.askRenewal(it.work.metadata.uid, 1))
  expect(it.work.status?.outbox).toEqual(before)
  expect(it.state('Delivered')).toBe('Unknown PeerNotReady')
  await it.clock.advance(61_000)
  await it.look()
  expect(it.work.status?.lease?.state).toBe('Ended')
})

test.each<[string, () => Peer | undefined]>([
  ['is deleted', () => undefined],
  ['is another owner now', () => connected(stranger)],
])('when the Peer %s, the work ends and nothing is signed for it', async (_, change) => {
  await it.granted()
  const before = it.work.status?.outbox
  it.peer = change()
  const status = await it.look()
  expect(status.lease?.state).toBe('Ended')
  expect(it.state('Granted')).toBe('False Ended')
  expect(status.outbox).toEqual(before)
})

test('a request that the peer does not take in time is given up', async () => {
  await it.look()
  await it.clock.advance(21_600_000)
  await it.look()
  expect(it.state('Granted')).toBe('False RequestExpired')
})

test('words of others, about other work, or changed on the way count nothing', async () => {
  await it.look()
  const request = it.outgoing('Request')
  const forged = scriptedPeer(stranger, us, it.clock)
  await it.hears(await forged.grant(request))
  const other = await it.says.report('0b6ff8a1-0000-4000-8000-000000000001', 1, { readyReplicas: 1 })
  await it.hears(other)
  const good = await it.says.grant(request)
  await it.hears({ ...good, envelope: good.envelope.replace(/"sig":"..../, '"sig":"AAAA') })
  expect(it.problems).toContain('Answer SignatureInvalid')
  expect(it.problems).toContain('Report WrongAudience')
  expect(it.work.status?.answer).toBeUndefined()
  expect(it.state('Granted')).toBe('Unknown Deciding')
})

test('after a restart of the operator a lease lasts one more whole time to live', async () => {
  await it.granted()
  await it.clock.advance(50_000)
  it.memory = undefined
  await it.look()
  await it.clock.advance(50_000)
  await it.look()
  expect(it.work.status?.lease?.state).toBe('Uncertain')
  await it.clock.advance(11_000)
  await it.look()
  expect(it.work.status?.lease?.state).toBe('Ended')
})
