/** Numbers that one incarnation of an owner's state may use up, of epochs and of each kind of message. */
export const blockSize = 1_000_000

/** Largest incarnation whose numbers are still safe integers. */
export const largestIncarnation = Math.floor(Number.MAX_SAFE_INTEGER / blockSize) - 1

/** What Peer.status says of our own state, as that peer has confirmed it. */
export type Confirmed = { readonly epoch?: number | undefined; readonly incarnation?: number | undefined }

/**
 * Sequence of the next message of a kind, after `last`. Each incarnation begins a block of its own, so that after a restore no
 * message is taken for an old one.
 */
export function nextSequence(last: number | undefined, confirmed: Confirmed): number {
  return Math.max(last ?? 0, (confirmed.incarnation ?? 0) * blockSize) + 1
}

/** Epoch of the next lease for a peer; `undefined` when the block of this incarnation is used up, until the next start. */
export function nextEpoch(confirmed: Confirmed): number | undefined {
  const incarnation = confirmed.incarnation ?? 0
  const epoch = Math.max(confirmed.epoch ?? 0, incarnation * blockSize) + 1
  return epoch < (incarnation + 1) * blockSize ? epoch : undefined
}
