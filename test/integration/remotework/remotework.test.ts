import { dataClassLabel } from '@hansa/operator/api/owner-scalars.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { events, namespaces } from '@hansa/operator/kube/builtin.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import { egressPolicies, inferenceServices, peers, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentOf } from '../../builders/scripted-peer.ts'
import { type Requester, startAsking, timeout } from './requester.ts'

let requester: Requester | undefined
const it = () => {
  if (requester === undefined) throw new Error('the requester did not start')
  return requester
}
const { signal } = new AbortController()

const at = (replicas: number, leaseSeconds = 600) => ({
  placement: { peers: [{ name: 'university', replicas }], leaseSeconds },
})
const internal = { dataClasses: ['Internal'], peers: [{ name: 'university' }] }

beforeAll(async () => {
  requester = await startAsking('remotework')
  await requester.join()
  // Namespaces have their own policy each: tests do not meet.
  await Promise.all(['library', 'papers', 'archive', 'lab', 'press'].map((each) => it().tenant(each, 'Internal')))
  await it().tenant('unlabelled')
}, timeout)
afterAll(() => requester?.stop(), timeout)

/** A service whose work at the peer is granted, with epoch 1, and ready. */
async function running(namespace: string, replicas = 1, leaseSeconds = 600): Promise<Live<RemoteWork>> {
  await it().allow(namespace, { ...internal, namespaces: [namespace] })
  await it().serve(namespace, 'digits', at(replicas, leaseSeconds))
  const { work, envelope, sequence } = await it().outgoing(namespace, 'Request')
  await it().taken(work, 'Request', sequence)
  await it().deliver(work, await it().says.grant(envelope, { ttlSeconds: leaseSeconds }))
  await it().deliver(
    work,
    await it().says.report(work.metadata.uid, 1, { replicas, readyReplicas: replicas, gpuSeconds: 5 }),
  )
  await it().owners(namespace, 'digits', { answer: 'Granted', lease: 'Active', readyReplicas: replicas })
  return work
}

const refusalsOf = async (namespace: string) => {
  const found = await it().eventually(`events of ${namespace}`, async () => {
    const { items } = await it().client.list(events, { namespace, signal })
    return items.length > 0 ? items : undefined
  })
  return found.map(({ reason }) => reason)
}

test('nothing is asked of a peer until an EgressPolicy allows it; without a label data is Restricted', {
  timeout,
}, async () => {
  await it().serve('unlabelled', 'digits', at(1))
  const work = await it().becomes('unlabelled', 'Delivered', 'EgressDenied')
  expect(work.spec.work.dataClass).toBe('Restricted')
  expect(work.status?.outbox).toBeUndefined()
  expect(await it().owners('unlabelled', 'digits', { reason: 'EgressDenied' })).toMatchObject({
    answer: 'Pending',
    lease: 'None',
    wanted: 1,
  })
  // Internal data may go, Restricted may not.
  await it().allow('not-for-it', { ...internal, namespaces: ['unlabelled'] })
  await it().eventually('the policy is looked at', async () => {
    const policy = await it().client.get(egressPolicies, { name: 'not-for-it' }, { signal })
    return conditionOf(policy?.status?.conditions, 'Ready')?.reason === 'InForce'
  })
  const denied = await it().eventually('all reasons', async () => {
    const [seen] = await it().works('unlabelled')
    const message = conditionOf(seen?.status?.conditions, 'Delivered')?.message ?? ''
    return message.includes('not-for-it') ? message : undefined
  })
  expect(denied).toContain('Internal data, not Restricted')
  expect((await it().works('unlabelled'))[0]?.status?.outbox).toBeUndefined()
  expect(await refusalsOf('unlabelled')).toContain('EgressDenied')
})

test('a peer refuses with all reasons, grants later, renews, and ends it; the service shows each', {
  timeout,
}, async () => {
  await it().allow('library', { ...internal, namespaces: ['library'] })
  await it().serve('library', 'digits', at(2))
  const { work, envelope, sequence } = await it().outgoing('library', 'Request')
  expect(work.metadata.name).toMatch(/^digits-university-[0-9a-f]{8}$/)
  expect(contentOf(envelope)).toMatchObject({
    requestId: work.metadata.uid,
    work: { replicas: 2, dataClass: 'Internal' },
  })
  await it().taken(work, 'Request', sequence)
  await it().deliver(work, await it().says.refuse(envelope, 'OutsideWindow', 'PurposeNotAllowed'))
  const refused = await it().owners('library', 'digits', { answer: 'Refused' })
  expect(refused.refusals?.map(({ reason }) => reason)).toEqual(['OutsideWindow', 'PurposeNotAllowed'])
  expect(refused.message).toContain('OutsideWindow is why')

  await it().deliver(work, await it().says.grant(envelope, { ttlSeconds: 600 }))
  await it().owners('library', 'digits', { answer: 'Granted', lease: 'Active', reason: 'Progressing' })
  const { uid } = work.metadata
  await it().deliver(work, await it().says.report(uid, 1, { replicas: 2, readyReplicas: 2, gpuSeconds: 11 }))
  const ready = await it().owners('library', 'digits', { readyReplicas: 2 })
  expect(ready.reason).toBeUndefined()
  const { status } = await it().service('library', 'digits')
  expect(conditionOf(status?.conditions, 'PeersReady')).toMatchObject({ status: 'True', reason: 'PeersReady' })

  const ask = await it().says.askRenewal(uid, 1, 600)
  await it().deliver(work, ask)
  const renewal = await it().outgoing('library', 'Renewal')
  expect(contentOf(renewal.envelope)).toMatchObject({ requestId: uid, epoch: 1, nonce: contentOf(ask.envelope).nonce })

  const lease = { epoch: 1, attempt: 1, ttlSeconds: 600, incarnation: 0 }
  const refusals = [{ reason: 'Vetoed', message: 'maintenance tonight' }]
  await it().deliver(work, await it().says.answer(envelope, { decision: 'Ended', refusals, lease }))
  const ended = await it().owners('library', 'digits', { answer: 'Ended', lease: 'Ended', readyReplicas: 0 })
  expect(ended.refusals).toEqual(refusals)
  expect((await it().becomes('library', 'Granted', 'Ended')).status?.gpuSeconds).toBe(11)
  expect(await refusalsOf('library')).toEqual(expect.arrayContaining(['Refused', 'PeerRefused', 'PeersReady', 'Ended']))
})

test('a silent peer makes everything Unknown and deletes nothing; when the lease is over it is asked for again', {
  timeout,
}, async () => {
  const work = await running('papers', 1, 6)
  const uncertain = await it().owners('papers', 'digits', { lease: 'Uncertain' })
  expect(uncertain).toMatchObject({ answer: 'Granted', readyReplicas: 1, reason: 'LeaseUncertain' })
  expect((await it().works('papers'))[0]?.metadata.uid).toBe(work.metadata.uid)
  const again = await it().outgoing('papers', 'Request', (each) => each.spec.work.attempt === 2)
  expect(again.work.metadata.uid).not.toBe(work.metadata.uid)
  await it().eventually('the tombstone of the first attempt', async () =>
    (await it().tombstones()).some(({ spec }) => spec.cancelled?.requestId === work.metadata.uid),
  )
})

test('without a connection the service says that it does not know, and after it comes back, that it does', {
  timeout,
}, async () => {
  const work = await running('archive')
  await it().connect(false)
  await it().owners('archive', 'digits', { lease: 'Active', reason: 'NotKnown' })
  const { status } = await it().service('archive', 'digits')
  expect(conditionOf(status?.conditions, 'PeersReady')).toMatchObject({ status: 'Unknown', reason: 'PeerNotReady' })
  await it().connect(true)
  await it().becomes('archive', 'Ready', 'Ready')
  expect((await it().works('archive')).map(({ metadata }) => metadata.uid)).toEqual([work.metadata.uid])
  // A new operator, which remembers nothing, does no harm either.
  await it().restart()
  await it().deliver(work, await it().says.askRenewal(work.metadata.uid, 1, 600))
  await it().outgoing('archive', 'Renewal')
  expect((await it().works('archive')).map(({ metadata }) => metadata.uid)).toEqual([work.metadata.uid])
})

test('a raised data class cancels what runs, and asks for nothing that is not allowed', { timeout }, async () => {
  const work = await running('lab')
  await it().client.patch(
    namespaces,
    { name: 'lab' },
    { metadata: { labels: { [dataClassLabel]: 'Confidential' } } },
    { signal },
  )
  const tombstone = await it().eventually('the cancellation', async () =>
    (await it().tombstones()).find(({ spec }) => spec.cancelled?.requestId === work.metadata.uid),
  )
  expect(contentOf(tombstone.spec.cancelled?.envelope ?? '').requestId).toBe(work.metadata.uid)
  const next = await it().becomes('lab', 'Delivered', 'EgressDenied')
  expect(next.spec.work.dataClass).toBe('Confidential')
  expect(next.status?.outbox).toBeUndefined()
})

test('a withdrawn policy cancels what runs; allowed again, it is asked for as another attempt', {
  timeout,
}, async () => {
  const work = await running('press')
  await it().allow('press', { ...internal, namespaces: ['press'], suspend: true })
  const { envelope, sequence } = await it().outgoing('press', 'Cancel')
  expect(contentOf(envelope)).toMatchObject({ requestId: work.metadata.uid })
  await it().owners('press', 'digits', { reason: 'EgressDenied', lease: 'Ended' })
  await it().taken(work, 'Cancel', sequence)
  await it().allow('press', { ...internal, namespaces: ['press'], suspend: false })
  await it().outgoing('press', 'Request', (each) => each.spec.work.attempt === 2)
  // Taken already: nothing is left to say.
  expect((await it().tombstones()).map(({ spec }) => spec.cancelled?.requestId)).not.toContain(work.metadata.uid)
})

test('a change is asked for beside what runs, which goes when the new work is ready', { timeout }, async () => {
  await it().tenant('changing', 'Internal')
  const before = await running('changing')
  await it().serve('changing', 'digits', { ...at(1), modelRef: { name: 'letters' } })
  const next = await it().outgoing('changing', 'Request', (each) => each.metadata.uid !== before.metadata.uid)
  expect(next.work.spec.work.models[0]?.name).toBe('letters')
  await it().deliver(next.work, await it().says.refuse(next.envelope, 'ModelNotAllowed'))
  const refused = await it().owners('changing', 'digits', { answer: 'Refused' })
  expect(refused).toMatchObject({ readyReplicas: 1, remoteWork: next.work.metadata.name })
  expect(refused.message).toContain(`${before.metadata.name}, the state before, keeps running`)
  expect(await it().works('changing')).toHaveLength(2)
  await it().deliver(next.work, await it().says.grant(next.envelope, { epoch: 2, ttlSeconds: 600 }))
  await it().deliver(next.work, await it().says.report(next.work.metadata.uid, 2, { replicas: 1, readyReplicas: 1 }))
  await it().eventually('only the new work is left', async () => {
    const works = await it().works('changing')
    return works.length === 1 && works[0]?.metadata.uid === next.work.metadata.uid
  })
})

test('a refusal for want of room makes the old work give way', { timeout }, async () => {
  await it().tenant('tight', 'Internal')
  const before = await running('tight')
  await it().serve('tight', 'digits', at(2))
  const next = await it().outgoing('tight', 'Request', (each) => each.metadata.uid !== before.metadata.uid)
  await it().deliver(next.work, await it().says.refuse(next.envelope, 'QuotaExceeded'))
  await it().eventually('the old work is gone', async () => (await it().works('tight')).length === 1)
  await it().eventually('its tombstone', async () =>
    (await it().tombstones()).some(({ spec }) => spec.cancelled?.requestId === before.metadata.uid),
  )
})

test('a deleted service is gone at once, though the peer is dead; its tombstone waits for the peer', {
  timeout,
}, async () => {
  await it().tenant('leaving', 'Internal')
  const work = await running('leaving')
  const { uid } = work.metadata
  await it().client.delete(inferenceServices, { namespace: 'leaving', name: 'digits' }, { signal })
  // The garbage collector deletes what the service owned.
  await it().eventually('the RemoteWork is gone', async () => {
    const { items } = await it().client.list(remoteWorks, { namespace: 'leaving', signal })
    return items.length === 0
  })
  const tombstone = await it().eventually('the tombstone', async () =>
    (await it().tombstones()).find(({ spec }) => spec.cancelled?.requestId === uid),
  )
  const { cancelled } = tombstone.spec
  expect(contentOf(cancelled?.envelope ?? '')).toMatchObject({ requestId: uid })
  const left = Date.parse(cancelled?.expires ?? '') - Date.now()
  expect(left).toBeGreaterThan(500_000)
  expect(left).toBeLessThan(610_000)
  await it().taken(tombstone, 'Cancel', cancelled?.sequence ?? 0)
  await it().eventually('the tombstone is gone', async () =>
    (await it().tombstones()).every(({ spec }) => spec.cancelled?.requestId !== uid),
  )
})

test('two services cannot spend the same money', { timeout }, async () => {
  await it().tenant('rich', 'Internal')
  const perHour = 1_000_000
  await it().allow('rich', {
    ...internal,
    namespaces: ['rich'],
    spendLimit: { currency: 'EUR', microsPerDay: 24 * perHour },
  })
  const spec = {
    placement: { ...at(1).placement, maxPrice: { currency: 'EUR', microsPerGPUHour: perHour } },
    resources: { limits: { 'nvidia.com/gpu': '1' } },
  }
  await Promise.all(['one', 'two', 'three'].map((each) => it().serve('rich', each, spec)))
  const denied = await it().eventually('two wait for money', async () => {
    const works = await it().works('rich')
    const waiting = works.filter(({ status }) => conditionOf(status?.conditions, 'Delivered')?.reason === 'SpendLimit')
    const asked = works.filter(({ status }) => status?.outbox !== undefined)
    return waiting.length === 2 && asked.length === 1 ? { asked: asked[0] } : undefined
  })
  // Never asked is never spent, and never taken is not over: the money comes back with the Cancel.
  const first = denied.asked?.metadata.labels?.['hansa.dev/inference-service'] ?? ''
  await it().client.delete(inferenceServices, { namespace: 'rich', name: first }, { signal })
  const tombstone = await it().eventually('the tombstone', async () =>
    (await it().tombstones()).find(({ spec: { cancelled } }) => cancelled?.requestId === denied.asked?.metadata.uid),
  )
  expect(tombstone.spec.cancelled?.egressPolicyName).toBe('rich')
  expect((await it().works('rich')).every(({ status }) => status?.outbox === undefined)).toBe(true)
  await it().taken(tombstone, 'Cancel', tombstone.spec.cancelled?.sequence ?? 0)
  await it().outgoing('rich', 'Request')
  expect((await it().works('rich')).filter(({ status }) => status?.outbox !== undefined)).toHaveLength(1)
})

test('without the Peer work ends, and is let go without a word', { timeout }, async () => {
  await it().tenant('last', 'Internal')
  const work = await running('last')
  await it().client.delete(peers, { name: 'university' }, { signal })
  await it().becomes('last', 'Delivered', 'PeerNotReady')
  await it().owners('last', 'digits', { lease: 'Ended', reason: 'PeerNotReady' })
  await it().serve('last', 'digits', { placement: { peers: [] } })
  await it().eventually('the RemoteWork is gone', async () => (await it().works('last')).length === 0)
  expect((await it().tombstones()).map(({ spec }) => spec.cancelled?.requestId)).not.toContain(work.metadata.uid)
})
