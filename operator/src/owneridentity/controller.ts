import type { OwnerIdentity } from '../api/identity.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Clock } from '../kube/clock.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { identities as identityResource } from '../kube/hansa-resources.ts'
import { refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import { type Advanced, advanceKeys } from './advance-keys.ts'
import type { KeyStore } from './key-store.ts'
import type { RootKeys } from './root-keys.ts'
import { announce, statusOf } from './status.ts'

export type OwnerIdentityDeps = {
  identities: Store<OwnerIdentity>
  keyStore: KeyStore
  rootKeys: RootKeys
  applier: Applier
  events: EventRecorder
  clock: Clock
}

/** The longest time until an Identity is looked at again: keys may be touched by hand, and a Secret is not watched. */
const longestSleepSeconds = 600

/** Makes and renews the keys of one Identity, signs its bundle, carries out orders, says how it stands; key: its name. */
export async function reconcileOwnerIdentity(
  key: string,
  { signal, log }: ReconcileContext,
  deps: OwnerIdentityDeps,
): Promise<ReconcileResult> {
  const identity = deps.identities.get(refOfKey(key))
  // Keys outlive a deleted Identity: under its name they come back, and no other root key does.
  if (identity === undefined || identity.metadata.deletionTimestamp !== undefined) return {}
  const now = deps.clock.now()
  const { advanced, failure } = await attempt(identity, now, signal, deps)
  if (failure !== undefined)
    log.error({ name: key, error: messageOf(failure) }, 'the keys could not be brought up to date')
  for (const event of advanced?.events ?? []) deps.events.record(identity, event)
  const desired = {
    apiVersion: identity.apiVersion,
    kind: identity.kind,
    metadata: { name: identity.metadata.name },
    status: statusOf(identity, { keys: advanced?.keys, failure, now }),
  }
  const written = await deps.applier.applyStatus(identityResource, desired, identity, { signal })
  if (written !== identity) announce(identity, desired.status, deps.events)
  if (failure !== undefined) throw failure
  const dueSeconds = ((advanced?.dueAt ?? now) - now) / 1000
  return { afterSeconds: Math.min(Math.max(dueSeconds, 1), longestSleepSeconds) }
}

type Attempt = { advanced?: Advanced; failure?: unknown }

async function attempt(
  identity: OwnerIdentity,
  now: number,
  signal: AbortSignal,
  { keyStore, rootKeys }: OwnerIdentityDeps,
): Promise<Attempt> {
  const stored = await keyStore.read(signal)
  try {
    return { advanced: await advanceKeys(identity, stored, { now, rootKeys, signal }) }
  } catch (failure) {
    signal.throwIfAborted()
    // The API server's refusals say nothing about the keys: tried again before anything is said.
    if (failure instanceof HansaError && passing.has(failure.reason)) throw failure
    return { failure }
  }
}

const passing: ReadonlySet<string> = new Set([
  'Conflict',
  'ApiServerUnreachable',
  'ApiServerTimeout',
  'TooManyRequests',
])
