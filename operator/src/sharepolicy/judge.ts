import type { SharePolicy, SharePolicySpec } from '../api/share-policy.ts'
import type { SharePolicyReason } from '../api/share-policy-reasons.ts'
import type { Namespace, PriorityClass } from '../kube/builtin.ts'
import { isTimeZone } from './zone-time.ts'

/** Label by which a cluster admin gives a namespace to guests. */
export const guestsLabel = 'hansa.dev/guests'
const enforceLabel = 'pod-security.kubernetes.io/enforce'

/** What a SharePolicy is judged by. */
export type PolicyFacts = {
  namespace(name: string): Namespace | undefined
  priorityClass(name: string): PriorityClass | undefined
  peerExists(name: string): boolean
  /** All SharePolicies. */
  policies: readonly SharePolicy[]
  /** Namespace of Hansa itself. */
  systemNamespace: string
}

export type Verdict = {
  reason: SharePolicyReason
  message: string
  /** It is in force, and its admin should change something. */
  warning?: true
}

/**
 * Guests learn of renewals by a mounted ConfigMap, which a kubelet refreshes every 60 to 90 s, and a renewal is asked for after a third of
 * the time: with less than this a guest may stop taking requests while its lease is being renewed.
 */
export const shortLeaseSeconds = 180

/** Whether requests may be decided by a SharePolicy, but for what only the API server can say (`QuotaRefused`). */
export function judge({ metadata, spec }: SharePolicy, facts: PolicyFacts): Verdict {
  if (spec.suspend) return { reason: 'Suspended', message: 'spec.suspend is true: nothing is accepted' }
  if (!spec.peers.some(({ name }) => facts.peerExists(name))) {
    return { reason: 'PeerNotFound', message: `there is no Peer ${names(spec.peers.map(({ name }) => name))}` }
  }
  const unknown = (spec.windows ?? []).find(({ timeZone }) => !isTimeZone(timeZone))
  if (unknown !== undefined) {
    return { reason: 'TimeZoneUnknown', message: `window ${unknown.name}: ${unknown.timeZone} is no known time zone` }
  }
  return namespaceVerdict({ metadata, spec }, facts) ?? priorityVerdict(spec.priorityClassName, facts) ?? inForce(spec)
}

function inForce({ maxLeaseSeconds }: SharePolicySpec): Verdict {
  const message = 'requests of its peers are decided by it'
  if (maxLeaseSeconds >= shortLeaseSeconds) return { reason: 'InForce', message }
  return {
    reason: 'InForce',
    message: `${message}; maxLeaseSeconds is ${maxLeaseSeconds}: kubelets hand renewals to guests only every 60 to 90 s, so guests may drain although they were renewed; set ${shortLeaseSeconds} or more`,
    warning: true,
  }
}

/** Why guests must not run in the target namespace; undefined when they may. */
export function namespaceVerdict(
  policy: Pick<SharePolicy, 'metadata' | 'spec'>,
  facts: PolicyFacts,
): Verdict | undefined {
  const name = policy.spec.targetNamespace
  const namespace = facts.namespace(name)
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) {
    return { reason: 'NamespaceNotFound', message: `there is no Namespace ${name}` }
  }
  if (name === facts.systemNamespace) {
    return { reason: 'NamespaceShared', message: `Namespace ${name} is that of Hansa itself` }
  }
  const labels = namespace.metadata.labels ?? {}
  if (labels[guestsLabel] !== 'true') {
    return { reason: 'NamespaceNotGranted', message: `Namespace ${name} lacks the label ${guestsLabel}: "true"` }
  }
  if (labels[enforceLabel] !== 'restricted') {
    return {
      reason: 'NamespaceNotRestricted',
      message: `Namespace ${name} lacks the label ${enforceLabel}: restricted`,
    }
  }
  const other = facts.policies.find((each) => each.spec.targetNamespace === name && isBefore(each, policy))
  if (other !== undefined) {
    return { reason: 'NamespaceShared', message: `Namespace ${name} is that of SharePolicy ${other.metadata.name}` }
  }
  return undefined
}

function priorityVerdict(name: string, facts: PolicyFacts): Verdict | undefined {
  const priorityClass = facts.priorityClass(name)
  if (priorityClass === undefined) {
    return { reason: 'PriorityClassNotFound', message: `there is no PriorityClass ${name}` }
  }
  if (priorityClass.value < 0) return undefined
  return {
    reason: 'PriorityTooHigh',
    message: `PriorityClass ${name} has the value ${priorityClass.value}; that of guests must be negative`,
  }
}

/** Of policies that want the same namespace the older one has it, so that a mistake ends no lease. */
function isBefore(a: Pick<SharePolicy, 'metadata'>, b: Pick<SharePolicy, 'metadata'>): boolean {
  const timeOf = ({ metadata }: Pick<SharePolicy, 'metadata'>) => metadata.creationTimestamp ?? ''
  return timeOf(a) === timeOf(b) ? a.metadata.name < b.metadata.name : timeOf(a) < timeOf(b)
}

function names(list: readonly string[]): string {
  return list.length <= 8 ? list.join(', ') : `${list.slice(0, 8).join(', ')} and ${list.length - 8} more`
}
