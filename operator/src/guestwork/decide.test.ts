import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sharePolicy, work } from '../../../test/builders/work.ts'
import type { Work } from '../api/remote-work.ts'
import type { SharePolicySpec } from '../api/share-policy.ts'
import { type Decision, decide, type PolicyView, type Question } from './decide.ts'
import { amountsOf } from './resources.ts'
import type { Usage } from './usage.ts'

const now = Date.parse('2026-07-10T12:00:00Z')
const nothing: Usage = { leases: 0, amounts: new Map() }
const view = (name: string, changes: Partial<SharePolicySpec> = {}): PolicyView => ({
  name,
  spec: sharePolicy(name, changes).spec,
})

function ask(changes: Partial<Question> = {}): Decision {
  return decide({
    work: work(),
    peerName: 'university',
    policies: [view('nights')],
    usage: () => nothing,
    waitingPod: () => undefined,
    now,
    ...changes,
  })
}
const reasons = (decision: Decision) =>
  decision.decision === 'Refused' ? decision.refusals.map(({ reason }) => reason) : decision.decision
const messages = (decision: Decision) =>
  decision.decision === 'Refused' ? decision.refusals.map(({ message }) => message).join('\n') : ''

test('what a policy allows is granted, for the shorter of both times', () => {
  expect(ask()).toEqual({ decision: 'Granted', policyName: 'nights', leaseSeconds: 1800 })
  expect(ask({ work: work({ leaseSeconds: 60 }) })).toMatchObject({ leaseSeconds: 60 })
  expect(ask({ policies: [view('nights', { maxLeaseSeconds: 30 })] })).toMatchObject({ leaseSeconds: 30 })
})

test('the default is no', () => {
  expect(reasons(ask({ policies: [] }))).toEqual(['NoSharePolicy'])
  expect(reasons(ask({ policies: [view('others', { peers: [{ name: 'company' }] })] }))).toEqual(['NoSharePolicy'])
})

const gpus = (count: number) => ({ limits: { 'nvidia.com/gpu': String(count) } })
const paid = { currency: 'EUR', microsPerGPUHour: 400_000 }

describe('each rule refuses by itself, and names policy, field, what was asked and what is allowed', () => {
  test.each<[string, string, Partial<Question>, RegExp]>([
    [
      'WorkloadNotShared',
      'workloads',
      { policies: [view('p', { workloads: ['Train'] })] },
      /asked for Serve, allowed: Train/,
    ],
    [
      'DataClassNotAllowed',
      'dataClasses',
      { work: work({ dataClass: 'Restricted' }) },
      /asked for Restricted, allowed: Public, Internal/,
    ],
    [
      'PurposeNotAllowed',
      'purposes',
      { policies: [view('p', { purposes: ['Triage'] })] },
      /asked for Inference, allowed: Triage/,
    ],
    [
      'ModelNotAllowed',
      'modelDigests',
      { policies: [view('p', { modelDigests: ['b'.repeat(64)] })] },
      /model\.onnx \(a{12}\)/,
    ],
    [
      'ResourceNotOffered',
      'quota',
      { work: work({ resources: { limits: { 'amd.com/gpu': '1' } } }) },
      /asked for amd\.com\/gpu, allowed: nvidia\.com\/gpu, cpu, memory/,
    ],
    [
      'QuotaExceeded',
      'quota',
      { work: work({ resources: gpus(2), replicas: 3 }) },
      /asked for 6 nvidia\.com\/gpu \(3 workers\) beside 0 in use, allowed: 4/,
    ],
    [
      'TooManyLeases',
      'maxLeases',
      { usage: () => ({ leases: 16, amounts: new Map() }) },
      /16 leases are granted, allowed: 16/,
    ],
    [
      'PriceTooLow',
      'price',
      { policies: [view('p', { price: paid })] },
      /asked for free work, the price is 400000 micro-EUR/,
    ],
    [
      'PriceTooLow',
      'price',
      { policies: [view('p', { price: paid })], work: work({ maxPrice: { ...paid, microsPerGPUHour: 1 } }) },
      /at most 1, the price is 400000/,
    ],
    [
      'CurrencyDiffers',
      'price',
      { policies: [view('p', { price: paid })], work: work({ maxPrice: { ...paid, currency: 'USD' } }) },
      /pay in USD, allowed: EUR/,
    ],
    [
      'OutsideWindow',
      'windows',
      {
        policies: [
          view('p', { windows: [{ name: 'night', timeZone: 'Europe/Berlin', start: '20:00', end: '06:00' }] }),
        ],
      },
      /allowed: night 20:00-06:00 Europe\/Berlin; the next opens at 2026-07-10T18:00:00Z/,
    ],
    ['NotIdle', 'availability', { waitingPod: () => 'default/secret-name' }, /pods of the owner wait/],
    ['PolicySuspended', 'suspend', { policies: [view('p', { suspend: true })] }, /suspended/],
    [
      'PolicyNotReady',
      'is not in force',
      { policies: [{ ...view('p'), problem: { reason: 'NamespaceNotFound', message: '' } }] },
      /NamespaceNotFound/,
    ],
  ])('%s (%s)', (reason, field, changes, text) => {
    const decision = ask(changes)
    expect(reasons(decision)).toEqual([reason])
    expect(messages(decision)).toMatch(/^SharePolicy (p|nights)/)
    expect(messages(decision)).toContain(field)
    expect(messages(decision)).toMatch(text)
  })
})

test('a frozen peer hears that alone; a name of one of our pods never leaves us', () => {
  expect(reasons(ask({ frozen: 'the peer is frozen', policies: [] }))).toEqual(['Frozen'])
  expect(messages(ask({ waitingPod: () => 'default/secret-name' }))).not.toContain('secret-name')
})

test('all reasons come at once', () => {
  const strict = view('strict', {
    workloads: ['Train'],
    dataClasses: ['Public'],
    purposes: ['Triage'],
    quota: { cpu: '1' },
    maxLeases: 1,
    price: paid,
  })
  const decision = ask({ policies: [strict], usage: () => ({ leases: 1, amounts: amountsOf({ cpu: '1' }) }) })
  expect(reasons(decision)).toEqual([
    'WorkloadNotShared',
    'DataClassNotAllowed',
    'PurposeNotAllowed',
    'PriceTooLow',
    'ResourceNotOffered',
    'QuotaExceeded',
    'TooManyLeases',
  ])
})

test('of several policies the first by name that allows it grants; else the closest is told first', () => {
  const b = view('b')
  const a = view('a', { dataClasses: ['Public'], workloads: ['Train'] })
  const c = view('c', { dataClasses: ['Public'] })
  expect(ask({ policies: [c, b, a] })).toMatchObject({ decision: 'Granted', policyName: 'b' })
  const decision = ask({ policies: [a, c] })
  expect(reasons(decision)).toEqual(['DataClassNotAllowed', 'WorkloadNotShared', 'DataClassNotAllowed'])
  expect(messages(decision)).toMatch(/^SharePolicy c/)
})

test('what a policy that was not looked at yet would grant waits for it', () => {
  expect(ask({ policies: [{ ...view('new'), settling: true }] })).toEqual({ decision: 'Pending' })
  expect(ask({ policies: [{ ...view('new'), settling: true }, view('old')] })).toMatchObject({ policyName: 'old' })
})

test.each<[string, Partial<Work>, RegExp]>([
  ['Train', { workload: 'Train' }, /Train cannot be run/],
  ['no serve', { serve: undefined }, /serve: must be set/],
  ['a quantity of nothing', { resources: { limits: { cpu: '0' } } }, /no positive quantity/],
  ['half a GPU', { resources: { limits: { 'nvidia.com/gpu': '500m' } } }, /whole number/],
  ['GPUs as requests', { resources: { requests: { 'nvidia.com/gpu': '1' } } }, /belongs into limits/],
  [
    'a source with a Secret',
    { models: [publicModel({ https: { url: 'https://x.example/', credentialsSecretName: 's' } })] },
    /must not name a Secret/,
  ],
  ['a source of another type', { models: [publicModel({ pvc: { claimName: 'ours' } })] }, /no source of type Https/],
  [
    'two sources',
    { models: [publicModel({ https: { url: 'https://x.example/' }, pvc: { claimName: 'ours' } })] },
    /no source of type Https/,
  ],
])('%s is refused as invalid', (_what, changes, text) => {
  const decision = ask({ work: { ...work(), ...changes } })
  expect(reasons(decision)).toContain('RequestInvalid')
  expect(messages(decision)).toMatch(text)
})

function publicModel(source: object): Work['models'][number] {
  const [model] = work().models
  if (model === undefined) throw new Error('the builder makes a model')
  return { ...model, source: 'Https', publicSource: JSON.stringify(source) }
}

const anySpec = fc.record({
  workloads: fc.constantFrom<SharePolicySpec['workloads']>(['Serve'], ['Train'], ['Serve', 'Train']),
  dataClasses: fc.constantFrom<SharePolicySpec['dataClasses']>(['Public'], ['Public', 'Internal'], ['Restricted']),
  quota: fc.constantFrom<SharePolicySpec['quota']>(
    { 'nvidia.com/gpu': '1', cpu: '4', memory: '8Gi' },
    { cpu: '64', memory: '64Gi' },
    { 'nvidia.com/gpu': '8', cpu: '64', memory: '64Gi' },
  ),
  maxLeases: fc.integer({ min: 1, max: 3 }),
  suspend: fc.boolean(),
  peers: fc.constantFrom<SharePolicySpec['peers']>(
    [{ name: 'university' }],
    [{ name: 'company' }],
    [{ name: 'company' }, { name: 'university' }],
  ),
  price: fc.constantFrom(undefined, paid),
})
const anyWork = fc.record({
  dataClass: fc.constantFrom<Work['dataClass']>('Public', 'Internal', 'Confidential', 'Restricted'),
  replicas: fc.integer({ min: 1, max: 6 }),
  maxPrice: fc.constantFrom(undefined, paid, { ...paid, microsPerGPUHour: 1 }),
})

test('granted is only what one policy allows in every respect, and taking more away never grants', () => {
  fc.assert(
    fc.property(
      fc.array(anySpec, { maxLength: 4 }),
      anyWork,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 4 }),
      (specs, changes, leases, used) => {
        const policies = specs.map((spec, index) => view(`p${index}`, spec))
        const asked = work(changes)
        const usage = () => ({ leases, amounts: amountsOf({ 'nvidia.com/gpu': String(used) }) })
        const decision = ask({ policies, work: asked, usage })
        const allows = ({ spec }: PolicyView) =>
          spec.peers.some(({ name }) => name === 'university') &&
          !spec.suspend &&
          spec.workloads.includes('Serve') &&
          spec.dataClasses.includes(asked.dataClass) &&
          leases < spec.maxLeases &&
          used + asked.replicas <= Number(spec.quota['nvidia.com/gpu'] ?? 0) &&
          asked.replicas <= Number(spec.quota.cpu) &&
          2 * asked.replicas <= Number(spec.quota.memory?.replace('Gi', '')) &&
          (spec.price === undefined || (asked.maxPrice?.microsPerGPUHour ?? 0) >= paid.microsPerGPUHour)
        const first = policies.find(allows)
        if (first === undefined) expect(decision.decision).toBe('Refused')
        else expect(decision).toMatchObject({ decision: 'Granted', policyName: first.name })
        if (decision.decision === 'Refused') {
          expect(decision.refusals.length).toBeGreaterThan(0)
          expect(decision.refusals.length).toBeLessThanOrEqual(32)
          expect(
            ask({ policies, work: asked, usage: () => ({ leases: leases + 1, amounts: usage().amounts }) }).decision,
          ).toBe('Refused')
        }
      },
    ),
    { numRuns: 300 },
  )
})
