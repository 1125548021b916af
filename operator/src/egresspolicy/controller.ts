import type { EgressPolicy, EgressPolicyStatus } from '../api/egress-policy.ts'
import { type EgressPolicyReason, egressPolicyReasons } from '../api/egress-policy-reasons.ts'
import type { Peer } from '../api/peer.ts'
import { apiVersion } from '../api/resource.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { egressPolicies } from '../kube/hansa-resources.ts'
import { refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'

export type EgressPolicyDeps = {
  applier: Applier
  events: EventRecorder
  clock: Clock
  egressPolicies: Pick<Store<EgressPolicy>, 'get'>
  peers: Pick<Store<Peer>, 'get'>
}

/** Says in the status of one EgressPolicy whether it is in force; key `name`. What it allows is decided by `allow`. */
export async function reconcileEgressPolicy(
  key: string,
  { signal }: ReconcileContext,
  deps: EgressPolicyDeps,
): Promise<ReconcileResult> {
  const policy = deps.egressPolicies.get(refOfKey(key))
  if (policy === undefined || policy.metadata.deletionTimestamp !== undefined) return {}
  const verdict = judge(policy, (name) => deps.peers.get({ name }) !== undefined)
  const { generation = 0 } = policy.metadata
  const condition = {
    type: 'Ready',
    status: egressPolicyReasons.Ready[verdict.reason].status,
    ...verdict,
    observedGeneration: generation,
  }
  const status: EgressPolicyStatus = {
    observedGeneration: generation,
    conditions: setConditions(policy.status?.conditions, [condition], new Date(deps.clock.now())),
  }
  const desired = { apiVersion, kind: 'EgressPolicy', metadata: refOf(policy), status }
  const written = await deps.applier.applyStatus(egressPolicies, desired, policy, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  if (written !== policy && conditionOf(policy.status?.conditions, 'Ready')?.reason !== verdict.reason) {
    const type = verdict.reason === 'PeerNotFound' ? 'Warning' : 'Normal'
    deps.events.record(policy, { type, reason: verdict.reason, action: 'Judge', note: verdict.message })
  }
  return {}
}

/** Whether the policy allows anything, and what about it cannot work. */
export function judge(
  { spec }: EgressPolicy,
  exists: (peer: string) => boolean,
): { reason: EgressPolicyReason; message: string } {
  if (spec.suspend) return { reason: 'Suspended', message: 'spec.suspend is true; it allows nothing' }
  const missing = spec.peers.map(({ name }) => name).filter((name) => !exists(name))
  const absent = `there is no Peer ${missing.join(', ')}`
  if (missing.length === spec.peers.length) return { reason: 'PeerNotFound', message: absent }
  const classes = spec.dataClasses.join(', ')
  const to = spec.peers.map(({ name }) => name).join(', ')
  const message = `${classes} data may go to ${to}${missing.length === 0 ? '' : `; ${absent}`}`
  return { reason: 'InForce', message }
}
