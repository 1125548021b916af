import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import { inferenceServiceReasons, type RolledOutReason } from '../api/inference-service-reasons.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { RolloutCounter } from './metrics.ts'

/** An event for each step, promotion and rollback of a canary, in the words of the condition RolledOut. */
export function announceRollout(
  service: InferenceService,
  status: InferenceServiceStatus,
  deps: { events: EventRecorder; rollouts: RolloutCounter },
): void {
  const before = service.status?.rollout
  const after = status.rollout
  if (before === undefined && after === undefined) return
  const condition = conditionOf(status.conditions, 'RolledOut')
  const said = conditionOf(service.status?.conditions, 'RolledOut')
  if (condition === undefined) return
  const isSame =
    said?.reason === condition.reason && before?.step === after?.step && before?.revision === after?.revision
  if (isSame && before?.state === after?.state) return
  const isBad = inferenceServiceReasons.RolledOut[condition.reason as RolledOutReason]?.status === 'False'
  deps.events.record(service, {
    type: isBad ? 'Warning' : 'Normal',
    reason: condition.reason,
    action: 'RollOut',
    note: condition.message,
  })
  const ended = after === undefined || (after.state === 'RolledBack' && before?.state !== 'RolledBack')
  // Our own catalogue is the only source of the condition's reasons.
  if (ended) deps.rollouts.ended(condition.reason as RolledOutReason)
}
