import type { Peer } from '../api/peer.ts'
import { peerReasons } from '../api/peer-reasons.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import { conditionOf, type NewCondition } from '../kube/conditions.ts'
import type { EventRecorder } from '../kube/events.ts'

const catalogue: Readonly<Record<string, ReasonCatalogue>> = peerReasons

const warnings: ReadonlySet<string> = new Set([
  'FingerprintMismatch',
  'Revoked',
  'OwnKey',
  'BundleInvalid',
  'NotConnected',
  'NoCommonVersion',
  'Implausible',
  'Restored',
])

/** Records each condition whose reason changed. */
export function announce(peer: Peer, conditions: readonly NewCondition[], events: EventRecorder): void {
  for (const { type, reason, message } of conditions) {
    if (type === 'Ready' || conditionOf(peer.status?.conditions, type)?.reason === reason) continue
    const meaning = catalogue[type]?.[reason]?.meaning ?? ''
    const isWarning = warnings.has(reason)
    events.record(peer, {
      type: isWarning ? 'Warning' : 'Normal',
      reason,
      action: 'Judge',
      note: message === '' ? meaning : `${meaning} ${message}`,
    })
  }
}
