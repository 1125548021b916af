import type { PeerFacts, Rejection } from '../input.ts'

/** Nobody there to ask, or nobody who may be asked. Where work runs already a lost connection is no reason to move it: the lease is. */
export function againstState({ name, state, current }: PeerFacts): Rejection[] {
  if (!state.exists) return [{ reason: 'PeerNotFound', message: `there is no Peer ${name}` }]
  const found: Rejection[] = []
  if (state.suspended) found.push({ reason: 'PeerFrozen', message: `Peer ${name} or its Identity is suspended` })
  if (!state.verified) found.push({ reason: 'PeerNotVerified', message: `Peer ${name} is not verified` })
  else if (!state.connected && current === 0) {
    found.push({ reason: 'PeerNotConnected', message: `there is no connection to Peer ${name} now` })
  }
  return found
}
