import fc from 'fast-check'
import { expect, test } from 'vitest'
import { egressPolicy } from '../../../test/builders/egress-policy.ts'
import type { EgressPolicySpec } from '../api/egress-policy.ts'
import { type DataClass, dataClasses, dataClassLabel } from '../api/owner-scalars.ts'
import { allow, type EgressAsk } from './allow.ts'
import { classOfNamespace, isBelow, raisedClass } from './data-class.ts'

const nothingSpent = () => 0
const internal = { [dataClassLabel]: 'Internal' }

function ask(work: Partial<EgressAsk['work']> = {}, labels: Record<string, string> = internal): EgressAsk {
  return {
    namespace: { name: 'library', labels },
    peer: 'university',
    work: {
      workload: 'Serve',
      dataClass: 'Internal',
      replicas: 2,
      resources: { limits: { cpu: '4', 'nvidia.com/gpu': '2' } },
      ...work,
    },
  }
}

const priced = { currency: 'EUR', microsPerGPUHour: 400_000 }
// 2 workers, 2 GPUs each, 24 hours.
const cost = 4 * 24 * 400_000

test.each<[string, Partial<EgressPolicySpec>, EgressAsk]>([
  ['names class and peer', {}, ask()],
  ['lists the namespace', { namespaces: ['papers', 'library'] }, ask()],
  [
    'selects the namespace',
    { namespaceSelector: { team: 'books' } },
    ask({}, { ...internal, team: 'books', floor: '3' }),
  ],
  ['allows the higher class of an object', { dataClasses: ['Confidential'] }, ask({ dataClass: 'Confidential' })],
  [
    'allows Restricted, for a namespace without label',
    { dataClasses: ['Restricted'] },
    ask({ dataClass: 'Restricted' }, {}),
  ],
  ['allows work that has a price, but no GPU', {}, ask({ maxPrice: priced, resources: { limits: { cpu: '1' } } })],
  ['has just enough money', { spendLimit: { currency: 'EUR', microsPerDay: cost } }, ask({ maxPrice: priced })],
])('a policy that %s lets the request out', (_, spec, request) => {
  expect(allow(request, [egressPolicy('p', spec)], nothingSpent)).toEqual({ allowed: true, policy: 'p' })
})

test.each<[string, Partial<EgressPolicySpec>, EgressAsk, string[], 'EgressDenied' | 'SpendLimit']>([
  ['is suspended', { suspend: true }, ask(), ['PolicySuspended'], 'EgressDenied'],
  ['names another peer', { peers: [{ name: 'city' }] }, ask(), ['NoEgressPolicy'], 'EgressDenied'],
  ['allows other classes', { dataClasses: ['Public', 'Confidential'] }, ask(), ['DataClassNotListed'], 'EgressDenied'],
  ['lists other namespaces', { namespaces: ['papers'] }, ask(), ['NamespaceNotListed'], 'EgressDenied'],
  [
    'lists the namespace, but wants a label',
    { namespaces: ['library'], namespaceSelector: { team: 'books' } },
    ask(),
    ['NamespaceLabelsDiffer'],
    'EgressDenied',
  ],
  ['allows training', { workloads: ['Train'] }, ask(), ['WorkloadNotListed'], 'EgressDenied'],
  ['has no spend limit', {}, ask({ maxPrice: priced }), ['NotFree'], 'EgressDenied'],
  [
    'counts in another currency',
    { spendLimit: { currency: 'CHF', microsPerDay: cost } },
    ask({ maxPrice: priced }),
    ['CurrencyDiffers'],
    'EgressDenied',
  ],
  [
    'has one millionth too little',
    { spendLimit: { currency: 'EUR', microsPerDay: cost - 1 } },
    ask({ maxPrice: priced }),
    ['SpendLimit'],
    'SpendLimit',
  ],
  ['allows what an unlabelled namespace is not', {}, ask({}, {}), ['DataClassBelowNamespace'], 'EgressDenied'],
  [
    'allows what a namespace with a wrong label is not',
    {},
    ask({}, { [dataClassLabel]: 'internal' }),
    ['DataClassBelowNamespace'],
    'EgressDenied',
  ],
  [
    'has much against it',
    { suspend: true, dataClasses: ['Public'], namespaces: [], workloads: ['Train'] },
    ask({ maxPrice: priced }),
    ['PolicySuspended', 'DataClassNotListed', 'NamespaceNotListed', 'WorkloadNotListed', 'NotFree'],
    'EgressDenied',
  ],
])('a policy that %s does not, and all reasons are said', (_, spec, request, reasons, reason) => {
  const answer = allow(request, [egressPolicy('p', spec)], nothingSpent)
  expect(answer).toMatchObject({ allowed: false, reason })
  expect(answer.allowed ? [] : answer.denials.map((each) => each.reason)).toEqual(reasons)
})

test('without any policy nothing gets out', () => {
  expect(allow(ask(), [], nothingSpent)).toMatchObject({ allowed: false, denials: [{ reason: 'NoEgressPolicy' }] })
})

test('what other work may cost counts, for each policy apart', () => {
  const spendLimit = { currency: 'EUR', microsPerDay: cost }
  const policies = [egressPolicy('a', { spendLimit }), egressPolicy('b', { spendLimit })]
  const request = ask({ maxPrice: priced })
  expect(allow(request, policies, (policy) => (policy === 'a' ? 1 : 0))).toEqual({ allowed: true, policy: 'b' })
  expect(allow(request, policies, () => 1)).toMatchObject({ allowed: false, reason: 'SpendLimit' })
})

test('work stays with the policy that allowed it while that one does', () => {
  const policies = [egressPolicy('a'), egressPolicy('b')]
  expect(allow(ask(), policies, nothingSpent, 'b')).toEqual({ allowed: true, policy: 'b' })
  expect(allow(ask(), policies.slice(0, 1), nothingSpent, 'b')).toEqual({ allowed: true, policy: 'a' })
})

test('an object raises its class, and never lowers it', () => {
  expect(raisedClass('Internal', 'Confidential')).toBe('Confidential')
  expect(raisedClass('Internal', 'Public')).toBe('Internal')
  expect(raisedClass('Internal', undefined)).toBe('Internal')
})

const classes = fc.constantFrom(...dataClasses)
const subset = <T>(values: readonly T[]) => fc.subarray([...values], { minLength: 1 })
const anyPolicy = fc
  .record({
    dataClasses: subset(dataClasses),
    namespaces: fc.option(fc.subarray(['library', 'papers']), { nil: undefined }),
    namespaceSelector: fc.option(fc.constantFrom({ team: 'books' }, {}), { nil: undefined }),
    workloads: subset(['Serve', 'Train'] as const),
    peers: subset([{ name: 'university' }, { name: 'city' }]),
    spendLimit: fc.option(
      fc.record({ currency: fc.constantFrom('EUR', 'CHF'), microsPerDay: fc.integer({ min: 0, max: 2 * cost }) }),
      { nil: undefined },
    ),
    suspend: fc.boolean(),
  })
  .map(({ namespaces, namespaceSelector, spendLimit, ...spec }) => ({
    ...spec,
    ...(namespaces !== undefined && { namespaces }),
    ...(namespaceSelector !== undefined && { namespaceSelector }),
    ...(spendLimit !== undefined && { spendLimit }),
  }))
const anyPolicies = fc
  .array(anyPolicy, { maxLength: 5 })
  .map((specs) => specs.map((spec, i) => egressPolicy(`p${i}`, spec)))
const anyAsk = fc
  .record({
    workload: fc.constantFrom('Serve' as const, 'Train' as const),
    dataClass: classes,
    replicas: fc.integer({ min: 1, max: 4 }),
    maxPrice: fc.option(
      fc.record({ currency: fc.constantFrom('EUR', 'CHF'), microsPerGPUHour: fc.integer({ min: 0, max: 800_000 }) }),
      { nil: undefined },
    ),
    label: fc.option(fc.constantFrom<string>(...dataClasses, 'secret'), { nil: undefined }),
    team: fc.boolean(),
  })
  .map(({ label, team, maxPrice, ...work }) =>
    ask(
      { ...work, ...(maxPrice !== undefined && { maxPrice }) },
      { ...(label !== undefined && { [dataClassLabel]: label }), ...(team && { team: 'books' }) },
    ),
  )

test('policies add up: another one never takes away what was allowed', () => {
  fc.assert(
    fc.property(anyAsk, anyPolicies, anyPolicy, (request, policies, more) => {
      if (!allow(request, policies, nothingSpent).allowed) return
      expect(allow(request, [...policies, egressPolicy('more', more)], nothingSpent).allowed).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('what is allowed is covered by one policy in every respect; what is not has a reason', () => {
  fc.assert(
    fc.property(anyAsk, anyPolicies, fc.integer({ min: 0, max: cost }), (request, policies, others) => {
      const answer = allow(request, policies, () => others)
      if (!answer.allowed) {
        expect(answer.denials.length).toBeGreaterThan(0)
        return
      }
      const spec = policies.find(({ metadata }) => metadata.name === answer.policy)?.spec
      const { work, namespace } = request
      const dataClass: DataClass = work.dataClass
      expect(isBelow(dataClass, classOfNamespace(namespace.labels))).toBe(false)
      expect(spec?.suspend).toBe(false)
      expect(spec?.dataClasses).toContain(dataClass)
      expect(spec?.workloads).toContain(work.workload)
      expect(spec?.peers.map(({ name }) => name)).toContain(request.peer)
      expect(spec?.namespaces ?? [namespace.name]).toContain(namespace.name)
      const micros = work.replicas * 2 * 24 * (work.maxPrice?.microsPerGPUHour ?? 0)
      if (micros > 0) {
        expect(spec?.spendLimit?.currency).toBe(work.maxPrice?.currency)
        expect(micros + others).toBeLessThanOrEqual(spec?.spendLimit?.microsPerDay ?? 0)
      }
    }),
    { numRuns: 500 },
  )
})

test('the order of the policies does not matter', () => {
  fc.assert(
    fc.property(anyAsk, anyPolicies, (request, policies) => {
      expect(allow(request, policies.toReversed(), nothingSpent)).toEqual(allow(request, policies, nothingSpent))
    }),
  )
})
