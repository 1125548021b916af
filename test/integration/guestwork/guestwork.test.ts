import { inferenceServices, models, peers, sharePolicies } from '@hansa/operator/kube/hansa-resources.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sharePolicy } from '../../builders/work.ts'
import { eventually } from '../kube/harness.ts'
import { namespace, type Stage, startStage } from './stage.ts'

let stage: Stage | undefined
const it = (): Stage => {
  if (stage === undefined) throw new Error('the stage did not start')
  return stage
}
const timeout = 180_000
const patience = 60_000

/** A policy with a namespace of its own, as an admin would write it. */
function policy(name: string, spec: object = {}): object[] {
  const { apiVersion, kind, spec: defaults } = sharePolicy(name, { availability: 'Always' })
  return [namespace(`guest-${name}`, true), { apiVersion, kind, metadata: { name }, spec: { ...defaults, ...spec } }]
}
const edit = (name: string, spec: object) =>
  it().client.patch(sharePolicies, { name }, { spec }, { signal: it().signal })
const ready = (name: string, reason: string) =>
  eventually(
    `SharePolicy ${name} is ${reason}`,
    async () => {
      const found = await it().client.get(sharePolicies, { name }, { signal: it().signal })
      return found?.status?.conditions?.some((each) => each.reason === reason) ? found : undefined
    },
    patience,
  )
/** Leaves no policy behind that could decide what the next test asks. */
async function done(...names: string[]): Promise<void> {
  for (const name of names) await it().client.delete(sharePolicies, { name }, { signal: it().signal })
}

beforeAll(async () => {
  stage = await startStage('guestwork')
})
afterAll(() => stage?.stop())

test('refused with all reasons at once; one line of the policy edited, it is granted and its objects are made', {
  timeout,
}, async () => {
  await it().apply(
    ...policy('nights', { dataClasses: ['Public'], quota: { 'nvidia.com/gpu': '1', cpu: '8', memory: '16Gi' } }),
  )
  await ready('nights', 'InForce')
  const asked = await it().ask({
    replicas: 2,
    resources: { limits: { 'nvidia.com/gpu': '1', cpu: '2', memory: '4Gi' } },
  })
  const refused = await it().decided(asked, 'Refused')
  expect(refused.status?.refusals?.map(({ reason }) => reason)).toEqual(['DataClassNotAllowed', 'QuotaExceeded'])
  expect(await it().hears(asked, 'Answer')).toMatchObject({ decision: 'Refused', refusals: refused.status?.refusals })

  await edit('nights', { dataClasses: ['Public', 'Internal'] })
  await eventually('one reason is left', async () => (await it().read(asked)).status?.refusals?.length === 1, patience)
  await edit('nights', { quota: { 'nvidia.com/gpu': '2' } })
  const granted = await it().decided(asked, 'Granted')
  expect(granted.status).toMatchObject({
    policyName: 'nights',
    lease: { ttlSeconds: 1800, renewals: 0 },
    reserved: { 'nvidia.com/gpu': '2', cpu: '4', memory: '8Gi' },
  })
  const answer = await it().hears(asked, 'Answer')
  expect(answer).toMatchObject({ decision: 'Granted', refusals: [], lease: { attempt: 1, incarnation: 1 } })
  expect(answer?.sequence).toBeGreaterThan(1_000_000)
  const { client, signal } = it()
  const peer = await client.get(peers, { name: 'university' }, { signal })
  expect(peer?.status?.epoch).toBe(answer?.lease?.epoch)

  const service = await eventually('the service is there', () => it().service(granted), patience)
  const name = service.metadata.name
  expect(service.metadata).toMatchObject({
    namespace: 'guest-nights',
    labels: { 'hansa.dev/guest-work': name, 'hansa.dev/guest-peer': 'university' },
  })
  expect(service.spec).toMatchObject({
    modelRef: { name },
    scaling: { mode: 'Hansa', minReplicas: 2, maxReplicas: 2 },
    resources: { requests: { cpu: '2', memory: '4Gi' }, limits: { 'nvidia.com/gpu': '1', cpu: '2', memory: '4Gi' } },
    priorityClassName: 'hansa-guest',
    access: {},
  })
  const model = await client.get(models, { namespace: 'guest-nights', name }, { signal })
  expect(model?.spec.source).toEqual({ peer: { peerName: 'university', requestId: asked.spec.requestId } })
  const lease = await it().kubectl(
    'get',
    'configmap',
    `${name}-lease`,
    '-n',
    'guest-nights',
    '-o',
    'jsonpath={.data.lease\\.json}',
  )
  expect(JSON.parse(lease)).toMatchObject({ epoch: answer?.lease?.epoch, renewals: 0, ttlSeconds: 1800 })
  const hard = await it().kubectl(
    'get',
    'resourcequota',
    'hansa-nights',
    '-n',
    'guest-nights',
    '-o',
    'jsonpath={.spec.hard}',
  )
  expect(JSON.parse(hard)).toEqual({ 'requests.nvidia.com/gpu': '2', 'requests.cpu': '8', 'requests.memory': '16Gi' })
  const isolation = await it().kubectl(
    'get',
    'networkpolicy',
    'hansa-nights',
    '-n',
    'guest-nights',
    '-o',
    'jsonpath={.spec}',
  )
  expect(JSON.parse(isolation)).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  expect((await ready('nights', 'InForce')).status).toMatchObject({ leases: 1, used: { 'nvidia.com/gpu': '2' } })

  // The quota is used up: another must wait, and gets it when the first is cancelled.
  const second = await it().ask()
  expect((await it().decided(second, 'Refused')).status?.refusals?.map(({ reason }) => reason)).toEqual([
    'QuotaExceeded',
  ])
  await it().deliver(granted, 'Cancel', { reason: 'done' })
  await it().decided(granted, 'Ended', 'Cancelled')
  expect(await it().hears(granted, 'Answer')).toMatchObject({ decision: 'Ended', refusals: [{ reason: 'Cancelled' }] })
  await eventually('the objects are gone', async () => (await it().service(granted)) === undefined, patience)
  const next = await it().decided(second, 'Granted')
  expect(next.status?.lease?.epoch).toBeGreaterThan(granted.status?.lease?.epoch ?? 0)
  await done('nights')
  await it().decided(second, 'Ended', 'PolicyChanged')
})

test('a request that is not signed by the peer is never decided', { timeout }, async () => {
  await it().apply(...policy('open'))
  await ready('open', 'InForce')
  const forged = await it().ask({}, async (kind, body) =>
    (await it().say(kind, body)).replace(/"sig":"..../, '"sig":"AAAA'),
  )
  const found = await eventually(
    'it is judged',
    async () => {
      const now = await it().read(forged)
      return now.status?.conditions?.some(({ reason }) => reason === 'SignatureInvalid') ? now : undefined
    },
    patience,
  )
  expect(found.status?.decision).toBeUndefined()
  const foreign = await it().ask({}, (kind, body) =>
    it().say(kind, { ...body, requestId: '0b6ff8a1-0000-4000-8000-000000000001' }),
  )
  await eventually(
    'it is judged',
    async () => (await it().read(foreign)).status?.conditions?.some(({ reason }) => reason === 'Malformed'),
    patience,
  )
  await done('open')
})

test('an admin ends guest work with a reason that the requester sees; a frozen peer is stopped, and asks in vain', {
  timeout,
}, async () => {
  await it().apply(...policy('open'))
  await ready('open', 'InForce')
  const [one, two] = [await it().ask(), await it().ask()]
  await it().decided(one, 'Granted')
  await it().decided(two, 'Granted')
  await it().kubectl(
    'annotate',
    'guestworks.hansa.dev',
    one.metadata.name,
    '-n',
    'hansa-system',
    'hansa.dev/veto=stop: not on our machines',
  )
  const vetoed = await it().decided(one, 'Ended', 'Vetoed')
  expect(vetoed.status?.veto).toMatchObject({ action: 'Stop', message: 'not on our machines' })
  expect(await it().hears(one, 'Answer')).toMatchObject({
    refusals: [{ reason: 'Vetoed', message: 'not on our machines' }],
  })
  expect((await it().read(two)).status?.decision).toBe('Granted')

  const { client, signal } = it()
  await client.patch(peers, { name: 'university' }, { spec: { suspend: true } }, { signal })
  await it().decided(two, 'Ended', 'Frozen')
  expect(await it().hears(two, 'Answer')).toMatchObject({ decision: 'Ended', refusals: [{ reason: 'Frozen' }] })
  const late = await it().ask()
  expect((await it().decided(late, 'Refused')).status?.refusals).toMatchObject([{ reason: 'Frozen' }])
  await client.patch(peers, { name: 'university' }, { spec: { suspend: false } }, { signal })
  await it().decided(late, 'Granted')
  await done('open')
  await it().decided(late, 'Ended', 'PolicyChanged')
})

test('a window that closes ends the lease, and one that opens grants', { timeout }, async () => {
  const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString().slice(11, 16)
  const window = (start: string, end: string) => [{ name: 'w', timeZone: 'UTC', start, end }]
  await it().apply(...policy('nights', { windows: window(at(60), at(120)) }))
  await ready('nights', 'InForce')
  const asked = await it().ask()
  expect((await it().decided(asked, 'Refused')).status?.refusals).toMatchObject([{ reason: 'OutsideWindow' }])
  await edit('nights', { windows: window(at(-60), at(60)) })
  await it().decided(asked, 'Granted')
  await edit('nights', { windows: window(at(60), at(120)) })
  await it().decided(asked, 'Ended', 'WindowClosed')
  expect((await it().hears(asked, 'Answer'))?.refusals.map(({ reason }) => reason)).toEqual([
    'WindowClosed',
    'OutsideWindow',
  ])
  await done('nights')
})

test('a lease is renewed by its nonce, outlives a restart, and ends when renewals stop', { timeout }, async () => {
  await it().apply(...policy('short', { maxLeaseSeconds: 6 }))
  await ready('short', 'InForce')
  const asked = await it().ask()
  const granted = await it().decided(asked, 'Granted')
  const ask = await eventually('it asks for a renewal', () => it().hears(asked, 'RenewalAsk'), patience)
  await it().deliver(granted, 'Renewal', { epoch: ask.epoch, nonce: ask.nonce })
  const renewed = await eventually(
    'it is renewed',
    async () => ((await it().read(asked)).status?.lease?.renewals === 1 ? true : undefined),
    patience,
  )
  expect(renewed).toBe(true)
  await it().restart()
  await it().decided(asked, 'Ended', 'LeaseExpired')
  await eventually('the objects are gone', async () => (await it().service(granted)) === undefined, patience)
  await done('short')
})

test('nothing is granted before the peer has confirmed what it saw of us', { timeout }, async () => {
  await it().apply(...policy('open'))
  await ready('open', 'InForce')
  const { client, signal } = it()
  const recovered = async (status: string) => {
    const peer = await client.get(peers, { name: 'university' }, { signal })
    const conditions = peer?.status?.conditions?.map((each) => (each.type === 'Recovered' ? { ...each, status } : each))
    await client.patch(peers, { name: 'university' }, { status: { conditions } }, { signal, subresource: 'status' })
  }
  await recovered('Unknown')
  const asked = await it().ask()
  await it().decided(asked, 'Pending', 'AwaitingConfirmation')
  await recovered('True')
  await it().decided(asked, 'Granted')
  await done('open')
})

test('objects of others in the namespace are left alone, and what was made for a GuestWork goes with it', {
  timeout,
}, async () => {
  await it().apply(...policy('open'))
  await ready('open', 'InForce')
  const other = {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'InferenceService',
    metadata: { name: 'g-other', namespace: 'guest-open', labels: { 'hansa.dev/guest-work': 'g-other' } },
    spec: { modelRef: { name: 'm' } },
  }
  await it().apply(other)
  const asked = await it().ask()
  const granted = await it().decided(asked, 'Granted')
  await eventually('the service is there', () => it().service(granted), patience)
  await it().kubectl('delete', 'guestworks.hansa.dev', asked.metadata.name, '-n', 'hansa-system')
  await eventually('the service is gone', async () => (await it().service(granted)) === undefined, patience)
  const { client, signal } = it()
  expect(await client.get(inferenceServices, { namespace: 'guest-open', name: 'g-other' }, { signal })).toBeDefined()
  await done('open')
})
