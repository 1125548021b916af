import type { AccessKey, AccessKeyStatus } from '../api/access-key.ts'
import { type AccessKeyReason, accessKeyReasons } from '../api/access-key-reasons.ts'
import type { InferenceService } from '../api/inference-service.ts'
import { apiVersion } from '../api/resource.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { accessKeys } from '../kube/hansa-resources.ts'
import { refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { judge, type Verdict } from './judge.ts'

export type AccessKeyDeps = {
  applier: Applier
  events: EventRecorder
  clock: Clock
  keys: Store<AccessKey>
  services: Pick<Store<InferenceService>, 'get'>
}

/** A timer must not sleep past a month: what is further away is looked at again then. */
const longestSleepSeconds = 2_000_000

/** Says in the status of one AccessKey whether gateways accept it, and looks again when that changes by time; key `namespace/name`. */
export async function reconcileAccessKey(
  key: string,
  { signal }: ReconcileContext,
  deps: AccessKeyDeps,
): Promise<ReconcileResult> {
  const accessKey = deps.keys.get(refOfKey(key))
  if (accessKey === undefined || accessKey.metadata.deletionTimestamp !== undefined) return {}
  const namespace = accessKey.metadata.namespace ?? ''
  const now = deps.clock.now()
  const verdict = judge(accessKey, (name) => deps.services.get({ namespace, name }) !== undefined, now)
  const desired = {
    apiVersion,
    kind: 'AccessKey',
    metadata: refOf(accessKey),
    status: statusOf(accessKey, verdict, now),
  }
  const written = await deps.applier.applyStatus(accessKeys, desired, accessKey, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  if (written !== accessKey) announce(accessKey, verdict, deps.events)
  const { afterSeconds } = verdict
  return afterSeconds === undefined ? {} : { afterSeconds: Math.min(afterSeconds, longestSleepSeconds) }
}

function statusOf(accessKey: AccessKey, verdict: Verdict, now: number): AccessKeyStatus {
  const { generation = 0 } = accessKey.metadata
  const { reason, message, notAfter } = verdict
  const condition = {
    type: 'Ready',
    status: accessKeyReasons.Ready[reason].status,
    reason,
    message,
    observedGeneration: generation,
  }
  return {
    observedGeneration: generation,
    ...(notAfter !== undefined && { notAfter }),
    conditions: setConditions(accessKey.status?.conditions, [condition], new Date(now)),
  }
}

const worthAWarning: ReadonlySet<AccessKeyReason> = new Set(['Expired', 'ExpiresSoon', 'ServiceNotFound'])

function announce(accessKey: AccessKey, { reason, message }: Verdict, events: EventRecorder): void {
  if (conditionOf(accessKey.status?.conditions, 'Ready')?.reason === reason) return
  const type = worthAWarning.has(reason) ? 'Warning' : 'Normal'
  events.record(accessKey, { type, reason, action: 'Judge', note: message })
}
