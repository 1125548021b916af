import { describe, expect, test } from 'vitest'
import { sharePolicy } from '../../../test/builders/work.ts'
import type { SharePolicySpec } from '../api/share-policy.ts'
import { denyAll, resourceQuota } from './children.ts'
import { judge, type PolicyFacts } from './judge.ts'

const labels = { 'hansa.dev/guests': 'true', 'pod-security.kubernetes.io/enforce': 'restricted' }

function facts(changes: Partial<PolicyFacts> = {}, namespaceLabels: Record<string, string> = labels): PolicyFacts {
  return {
    namespace: (name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: namespaceLabels } }),
    priorityClass: (name) => ({
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name },
      value: -1000,
    }),
    peerExists: () => true,
    policies: [sharePolicy('nights')],
    systemNamespace: 'hansa-system',
    ...changes,
  }
}
const reason = (changes: Partial<SharePolicySpec>, known: PolicyFacts) =>
  judge(sharePolicy('nights', changes), known).reason

describe('a SharePolicy', () => {
  test.each<[string, Partial<SharePolicySpec>, PolicyFacts]>([
    ['InForce', {}, facts()],
    ['Suspended', { suspend: true }, facts()],
    ['PeerNotFound', {}, facts({ peerExists: () => false })],
    ['TimeZoneUnknown', { windows: [{ name: 'n', timeZone: 'Mars/Olympus', start: '01:00', end: '02:00' }] }, facts()],
    ['NamespaceNotFound', {}, facts({ namespace: () => undefined })],
    ['NamespaceNotGranted', {}, facts({}, { 'pod-security.kubernetes.io/enforce': 'restricted' })],
    ['NamespaceNotRestricted', {}, facts({}, { 'hansa.dev/guests': 'true' })],
    ['NamespaceNotRestricted', {}, facts({}, { ...labels, 'pod-security.kubernetes.io/enforce': 'baseline' })],
    ['NamespaceShared', { targetNamespace: 'hansa-system' }, facts()],
    ['PriorityClassNotFound', {}, facts({ priorityClass: () => undefined })],
    [
      'PriorityTooHigh',
      {},
      facts({ priorityClass: (name) => ({ apiVersion: 'v1', kind: 'PriorityClass', metadata: { name }, value: 0 }) }),
    ],
  ])('%s', (expected, changes, known) => {
    expect(reason(changes, known)).toBe(expected)
  })

  test.each([
    [179, true],
    [180, undefined],
  ])('with leases of %d s is in force, and warns where kubelets are too slow for that', (maxLeaseSeconds, warning) => {
    const verdict = judge(sharePolicy('nights', { maxLeaseSeconds }), facts())
    expect(verdict).toMatchObject({ reason: 'InForce', message: expect.stringMatching(/^requests of its peers/) })
    expect(verdict.warning).toBe(warning)
    expect(verdict.message.includes('set 180 or more')).toBe(warning === true)
  })

  test('keeps its namespace when another wants it too: the older one, then the first by name', () => {
    const older = sharePolicy('z', { targetNamespace: 'shared' })
    older.metadata.creationTimestamp = '2025-01-01T00:00:00Z'
    const newer = sharePolicy('a', { targetNamespace: 'shared' })
    const same = sharePolicy('b', { targetNamespace: 'shared' })
    const known = facts({ policies: [newer, older, same] })
    expect(judge(older, known).reason).toBe('InForce')
    expect(judge(newer, known)).toEqual({
      reason: 'NamespaceShared',
      message: expect.stringContaining('SharePolicy z'),
    })
    expect(judge(newer, facts({ policies: [newer, same] })).reason).toBe('InForce')
    expect(judge(same, facts({ policies: [newer, same] })).reason).toBe('NamespaceShared')
  })
})

test('the quota counts requests, which guests have for all that they may use, and nothing else may reach guests', () => {
  const policy = sharePolicy('nights', { quota: { 'nvidia.com/gpu': '4', memory: '64Gi' } })
  expect(resourceQuota(policy)).toMatchObject({
    metadata: {
      name: 'hansa-nights',
      namespace: 'guest-nights',
      ownerReferences: [{ kind: 'SharePolicy', name: 'nights' }],
    },
    spec: { hard: { 'requests.nvidia.com/gpu': '4', 'requests.memory': '64Gi' } },
  })
  expect(denyAll(policy).spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
})
