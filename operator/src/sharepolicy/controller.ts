import type { GuestWork } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import { apiVersion } from '../api/resource.ts'
import type { SharePolicy, SharePolicyStatus } from '../api/share-policy.ts'
import { sharePolicyReasons } from '../api/share-policy-reasons.ts'
import { quantitiesOf } from '../guestwork/resources.ts'
import { type Usage, usageOf } from '../guestwork/usage.ts'
import { isRefused } from '../kube/api-error.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import {
  type Namespace,
  type NetworkPolicy,
  networkPolicies,
  type PriorityClass,
  type ResourceQuota,
  resourceQuotas,
} from '../kube/builtin.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { sharePolicies } from '../kube/hansa-resources.ts'
import { type Live, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { childName, denyAll, resourceQuota } from './children.ts'
import { judge, namespaceVerdict, type PolicyFacts, type Verdict } from './judge.ts'

export const fieldManager = 'hansa-sharepolicy'

export type PolicyStores = {
  sharePolicies: Store<SharePolicy>
  peers: Pick<Store<Peer>, 'get'>
  namespaces: Pick<Store<Namespace>, 'get'>
  priorityClasses: Pick<Store<PriorityClass>, 'get'>
}

export type SharePolicyDeps = PolicyStores & {
  applier: Applier
  events: EventRecorder
  clock: Clock
  systemNamespace: string
  quotas: Pick<Store<ResourceQuota>, 'get'>
  policies: Pick<Store<NetworkPolicy>, 'get'>
  guestWorks: Pick<Store<GuestWork>, 'list'>
}

/** The facts that SharePolicies are judged by. */
export function policyFacts(stores: PolicyStores, systemNamespace: string): PolicyFacts {
  return {
    namespace: (name) => stores.namespaces.get({ name }),
    priorityClass: (name) => stores.priorityClasses.get({ name }),
    peerExists: (name) => stores.peers.get({ name }) !== undefined,
    policies: stores.sharePolicies.list(),
    systemNamespace,
  }
}

/** Keeps quota and isolation of a SharePolicy's namespace, and says whether the policy is in force; key: its name. */
export async function reconcileSharePolicy(
  key: string,
  { signal }: ReconcileContext,
  deps: SharePolicyDeps,
): Promise<ReconcileResult> {
  const policy = deps.sharePolicies.get({ name: key })
  // Quota and NetworkPolicy carry an owner reference; leases end by the controller of GuestWork.
  if (policy === undefined || policy.metadata.deletionTimestamp !== undefined) return {}
  const facts = policyFacts(deps, deps.systemNamespace)
  let verdict = judge(policy, facts)
  let refusal: unknown
  // A suspended policy keeps its namespace shut in.
  if (namespaceVerdict(policy, facts) === undefined) {
    try {
      await applyChildren(policy, deps, signal)
    } catch (thrown) {
      if (!isRefused(thrown)) throw thrown
      refusal = thrown
      if (verdict.reason === 'InForce') verdict = { reason: 'QuotaRefused', message: thrown.message }
    }
  }
  await writeStatus(policy, verdict, deps, signal)
  // Said, and yet to be tried again: rights or an admission policy may change without an event.
  if (refusal !== undefined) throw refusal
  return {}
}

async function applyChildren(policy: SharePolicy, deps: SharePolicyDeps, signal: AbortSignal): Promise<void> {
  const ref = { namespace: policy.spec.targetNamespace, name: childName(policy.metadata.name) }
  await deps.applier.apply(networkPolicies, denyAll(policy), deps.policies.get(ref), { signal })
  await deps.applier.apply(resourceQuotas, resourceQuota(policy), deps.quotas.get(ref), { signal })
}

async function writeStatus(
  policy: Live<SharePolicy>,
  verdict: Verdict,
  deps: SharePolicyDeps,
  signal: AbortSignal,
): Promise<void> {
  const usage = usageOf(policy.metadata.name, deps.guestWorks.list())
  const status = statusOf(policy, verdict, usage, new Date(deps.clock.now()))
  const desired = { apiVersion, kind: 'SharePolicy', metadata: refOf(policy), status }
  const written = await deps.applier.applyStatus(sharePolicies, desired, policy, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  const before = conditionOf(policy.status?.conditions, 'Ready')
  const isNewWarning = verdict.warning === true && before?.message !== verdict.message
  if (written === policy || (before?.reason === verdict.reason && !isNewWarning)) return
  const isWell = verdict.reason === 'InForce' || verdict.reason === 'Suspended'
  const type = isWell && verdict.warning !== true ? 'Normal' : 'Warning'
  deps.events.record(policy, { type, reason: verdict.reason, action: 'Judge', note: verdict.message })
}

function statusOf(
  { metadata: { generation = 0 }, status }: SharePolicy,
  { reason, message }: Verdict,
  usage: Usage,
  now: Date,
): SharePolicyStatus {
  const condition = {
    type: 'Ready',
    status: sharePolicyReasons.Ready[reason].status,
    reason,
    message,
    observedGeneration: generation,
  }
  return {
    observedGeneration: generation,
    leases: usage.leases,
    used: quantitiesOf(usage.amounts),
    conditions: setConditions(status?.conditions, [condition], now),
  }
}
