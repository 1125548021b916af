import type { OwnerIdentity } from '../api/identity.ts'
import type { NewEvent } from '../kube/events.ts'
import { carryOutOrders, ordersOf } from './carry-out-orders.ts'
import { type IdentityKeys, parseKeys, unreadable } from './identity-keys.ts'
import type { StoredTexts } from './key-store.ts'
import { bundleDue, publishBundle } from './publish-bundle.ts'
import { nextRenewal, renewKeys } from './renew-keys.ts'
import type { RootKeys } from './root-keys.ts'

export type Advanced = { keys: IdentityKeys; events: NewEvent[]; dueAt: number }

/**
 * Brings the keys of an Identity to where they must be at `now`, and writes them before anybody may go by them. Makes a root key
 * only for an Identity that never had one. Throws KeysUnreadable when there are keys that cannot be used, or were some.
 */
export async function advanceKeys(
  identity: OwnerIdentity,
  stored: StoredTexts,
  deps: { now: number; rootKeys: RootKeys; signal: AbortSignal },
): Promise<Advanced> {
  const { spec, metadata } = identity
  const { now, rootKeys, signal } = deps
  const text = stored.get(metadata.name)
  const before = text === undefined ? undefined : keysFor(identity, parseKeys(text))
  if (before === undefined && identity.status?.trustDomain !== undefined) {
    throw unreadable(`the Secret has no entry ${metadata.name}.json any more; another root key would be another owner`)
  }
  const first = before ?? (await newKeys(identity, deps))
  const ordered = await carryOutOrders(first, ordersOf(identity), deps)
  const renewed = await renewKeys(ordered.keys, spec, now)
  const keys = await publishBundle(renewed, spec, { now, openRoot: () => rootKeys.open(renewed.root), signal })
  if (keys !== before) await stored.replace(metadata.name, JSON.stringify(keys), signal)
  const made = {
    type: 'Normal',
    reason: 'KeysMade',
    action: 'Create',
    note: 'the root key and all others were made',
  } as const
  const events = before === undefined ? [made, ...ordered.events] : ordered.events
  return { keys, events, dueAt: Math.min(bundleDue(keys), nextRenewal(keys, spec)) }
}

/** Keys that were made for this very owner, or for nobody yet. */
function keysFor({ spec }: OwnerIdentity, keys: IdentityKeys): IdentityKeys {
  const owner = ownerOf(spec)
  const theirs = keys.owner
  if (theirs === undefined) return { ...keys, owner }
  if (
    theirs.ownerId === owner.ownerId &&
    theirs.clusterName === owner.clusterName &&
    theirs.federation === owner.federation
  ) {
    return keys
  }
  throw unreadable(
    `they are those of cluster ${theirs.clusterName} of ${theirs.ownerId} in the federation ${theirs.federation}, which had this name`,
  )
}

async function newKeys(
  identity: OwnerIdentity,
  deps: { rootKeys: RootKeys; signal: AbortSignal },
): Promise<IdentityKeys> {
  // An order to rotate or replace what was never made is done; one to give up is kept.
  const { revokeIdentity: _, ...orders } = ordersOf(identity)
  return {
    version: 1,
    owner: ownerOf(identity.spec),
    root: await deps.rootKeys.make(deps.signal),
    rotations: [],
    authorities: [],
    roleKeys: [],
    revoked: [],
    revokedAll: false,
    orders,
  }
}

function ownerOf({ ownerId, clusterName, federation }: OwnerIdentity['spec']): NonNullable<IdentityKeys['owner']> {
  return { ownerId, clusterName, federation }
}
