import type { IdentityStatus, OwnerIdentity } from '../api/identity.ts'
import { type IdentityReason, identityReasons } from '../api/identity-reasons.ts'
import { dateTimeOf } from '../federation/date-time.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { EventRecorder } from '../kube/events.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import { type IdentityKeys, trustDomainOf } from './identity-keys.ts'

type Outcome = { keys: IdentityKeys | undefined; failure: unknown; now: number }

/** The whole status of an Identity after a reconcile; what is not known now stays as it was. */
export function statusOf(identity: OwnerIdentity, { keys, failure, now }: Outcome): IdentityStatus {
  const { generation = 0 } = identity.metadata
  const { observedGeneration: _, conditions, ...before } = identity.status ?? {}
  const known = keys === undefined ? before : said(keys)
  const { reason, message } = verdict(identity, { ...known, failure, now })
  const { status } = identityReasons.Ready[reason]
  const condition = { type: 'Ready', status, reason, message, observedGeneration: generation }
  return {
    observedGeneration: generation,
    ...known,
    conditions: setConditions(conditions, [condition], new Date(now)),
  }
}

function said(keys: IdentityKeys): Omit<IdentityStatus, 'observedGeneration' | 'conditions'> {
  const { bundle, orders, root } = keys
  return {
    trustDomain: trustDomainOf(keys),
    rootKey: root.publicKey,
    ...(bundle !== undefined && {
      bundle: { sequence: bundle.sequence, notAfter: dateTimeOf(bundle.notAfter), envelope: bundle.envelope },
    }),
    ...(Object.keys(orders).length > 0 && { orders }),
  }
}

function verdict(
  { spec, metadata }: OwnerIdentity,
  known: Pick<IdentityStatus, 'bundle' | 'trustDomain' | 'orders'> & { failure: unknown; now: number },
): { reason: IdentityReason; message: string } {
  const { bundle, trustDomain, orders, failure, now } = known
  const why = failure === undefined ? '' : `; ${messageOf(failure)}`
  const unusable = failure instanceof HansaError && failure.reason === 'KeysUnreadable'
  if (unusable || bundle === undefined) {
    return { reason: 'KeysUnreadable', message: failure === undefined ? 'there are no keys' : messageOf(failure) }
  }
  if (orders?.revokeIdentity !== undefined) {
    return {
      reason: 'Revoked',
      message: `Identity ${metadata.name} was given up; its trust domain was ${trustDomain}${why}`,
    }
  }
  if (Date.parse(bundle.notAfter) <= now) {
    return { reason: 'BundleExpired', message: `the bundle expired at ${bundle.notAfter}${why}` }
  }
  if (spec.suspend) return { reason: 'Suspended', message: `spec.suspend is true${why}` }
  return { reason: 'Published', message: `peers know trust domain ${trustDomain} by a current bundle${why}` }
}

/** An event when the reason of Ready changed. */
export function announce(identity: OwnerIdentity, status: IdentityStatus, events: EventRecorder): void {
  const ready = conditionOf(status.conditions, 'Ready')
  if (ready === undefined || conditionOf(identity.status?.conditions, 'Ready')?.reason === ready.reason) return
  const type = ready.reason === 'Published' ? 'Normal' : 'Warning'
  events.record(identity, { type, reason: ready.reason, action: 'Publish', note: ready.message })
}
