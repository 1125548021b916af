import { identityOrders, type OwnerIdentity } from '../api/identity.ts'
import { signRotation } from '../federation/rotation.ts'
import type { NewEvent } from '../kube/events.ts'
import { type IdentityKeys, trustDomainOf } from './identity-keys.ts'
import { revokeIdentity, revokeKeys } from './renew-keys.ts'
import type { RootKeys } from './root-keys.ts'

type Orders = IdentityKeys['orders']

const maxRotations = 8

/** Values of the annotations by which an admin orders something, cut to 64 characters. */
export function ordersOf({ metadata }: OwnerIdentity): Orders {
  const value = (order: keyof typeof identityOrders) => metadata.annotations?.[identityOrders[order]]?.slice(0, 64)
  const [rotateRoot, revoke, giveUp] = [value('rotateRoot'), value('revokeKeys'), value('revokeIdentity')]
  return {
    ...(rotateRoot !== undefined && { rotateRoot }),
    ...(revoke !== undefined && { revokeKeys: revoke }),
    ...(giveUp !== undefined && { revokeIdentity: giveUp }),
  }
}

/** Does each order whose value was not carried out yet, once; the very same keys when there is none. */
export async function carryOutOrders(
  keys: IdentityKeys,
  orders: Orders,
  deps: { now: number; rootKeys: RootKeys; signal: AbortSignal },
): Promise<{ keys: IdentityKeys; events: NewEvent[] }> {
  const { now, rootKeys, signal } = deps
  const events: NewEvent[] = []
  const isNew = (order: keyof Orders) => orders[order] !== undefined && orders[order] !== keys.orders[order]
  const due = { root: isNew('rotateRoot'), keys: isNew('revokeKeys'), identity: isNew('revokeIdentity') }
  if (!due.root && !due.keys && !due.identity) return { keys, events }
  let changed: IdentityKeys = { ...keys, orders: { ...keys.orders, ...orders } }
  if (due.identity && !changed.revokedAll) {
    changed = revokeIdentity(changed)
    events.push(warning('IdentityRevoked', 'the identity was given up for ever; peers are told'))
  }
  if (due.keys) {
    changed = revokeKeys(changed, now)
    events.push(warning('KeysRevoked', 'all role keys, authorities and certificates were revoked and replaced'))
  }
  if (due.root && changed.rotations.length >= maxRotations) {
    const note = `the root key was rotated ${maxRotations} times, which is the most; make a new Identity and join again`
    events.push(warning('RootKeyNotRotated', note))
  } else if (due.root) {
    const root = await rootKeys.make(signal)
    const rotation = { trustDomain: trustDomainOf(changed), newKey: root.publicKey, now }
    const envelope = await signRotation(rotation, rootKeys.open(changed.root), signal)
    changed = { ...changed, root, rotations: [...changed.rotations, envelope] }
    events.push({ type: 'Normal', reason: 'RootKeyRotated', action: 'Rotate', note: 'a new root key signs bundles' })
  }
  return { keys: changed, events }
}

function warning(reason: string, note: string): NewEvent {
  return { type: 'Warning', reason, action: 'Order', note }
}
