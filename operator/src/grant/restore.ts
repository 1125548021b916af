import type { MessageOf } from '../federation/messages.ts'
import type { Body } from './body.ts'
import { blockSize, type Confirmed, largestIncarnation } from './sequence.ts'

/** Peer.status.told: the number that we last gave to the peer's state, and for which question. Peer controller writes it. */
export type Told = { readonly answers: string; readonly incarnation: number }

type Confirmation = MessageOf<'Confirmation'>

export type NextConfirmation = {
  readonly body: Body<'Confirmation'>
  /** To be written into Peer.status.told in the same write as `statement.outgoing`. */
  readonly told: Told | undefined
}

/**
 * What we tell a peer: our own question (new with each start of our operator) and, if it asked one, the number of its state. Each question
 * gets a number larger than any before; so a peer that lost its memory cannot use epochs and sequences again that it used before.
 * Deterministic: called again without news it says the same.
 */
export function nextConfirmation(input: {
  /** Our question: 32 random bytes, base64url, drawn once at the start of the process. */
  asks: string
  /** Newest checked Confirmation of the peer. */
  heard: Pick<Confirmation, 'asks' | 'ownIncarnation'> | undefined
  /** Peer.status.told. */
  told: Told | undefined
  /** Peer.status.incarnation. */
  ownIncarnation: number
  /** Highest epoch in the leases of our RemoteWorks for this peer; 0 for none. */
  epochSeen: number
  sequence: number
}): NextConfirmation {
  const { asks, heard, ownIncarnation, epochSeen, sequence } = input
  const told = heard === undefined || heard.asks === input.told?.answers ? input.told : giveNumber(heard, input.told)
  return {
    told,
    body: {
      sequence,
      asks,
      ownIncarnation,
      epoch: epochSeen,
      incarnation: told?.incarnation ?? 0,
      ...(told === undefined ? {} : { answers: told.answers }),
    },
  }
}

function giveNumber(heard: Pick<Confirmation, 'asks' | 'ownIncarnation'>, told: Told | undefined): Told {
  return { answers: heard.asks, incarnation: Math.max(told?.incarnation ?? 0, heard.ownIncarnation ?? 0) + 1 }
}

export type Judgement =
  /** Nothing may be granted to the peer yet. */
  | { state: 'AwaitingConfirmation' }
  /** The peer's numbers cannot be ours; nothing is granted. */
  | { state: 'Implausible' }
  /** This start is confirmed, and that is on record. */
  | { state: 'Confirmed' }
  /**
   * This start is confirmed now. `incarnation`, `epoch` and `confirmedNonce` are to be written into Peer.status (with its
   * resourceVersion) before the first grant. `restored`: the peer saw more than we know.
   */
  | { state: 'New'; restored: boolean; incarnation: number; epoch: number; confirmedNonce: string }

/** Whether the peer has answered the question of this start, and what follows. The guest controller writes what it says. */
export function judgeConfirmation(input: {
  /** Our question of this start, as in `nextConfirmation`. */
  asks: string
  /** Peer.status: what we know. */
  known: Confirmed & { readonly confirmedNonce?: string | undefined }
  /** Newest checked Confirmation of the peer. */
  heard: Pick<Confirmation, 'answers' | 'incarnation' | 'epoch'> | undefined
}): Judgement {
  const { asks, known, heard } = input
  if (known.confirmedNonce === asks) return { state: 'Confirmed' }
  if (heard === undefined || heard.answers !== asks) return { state: 'AwaitingConfirmation' }
  const incarnation = known.incarnation ?? 0
  const epoch = known.epoch ?? 0
  // The number is given after our statement of what we know; one that is not larger answers an older statement.
  if (heard.incarnation <= incarnation) return { state: 'AwaitingConfirmation' }
  if (heard.incarnation > largestIncarnation || heard.epoch >= heard.incarnation * blockSize) {
    return { state: 'Implausible' }
  }
  return {
    state: 'New',
    restored: heard.epoch > epoch || heard.incarnation > incarnation + 1,
    incarnation: heard.incarnation,
    epoch: Math.max(epoch, heard.epoch),
    confirmedNonce: asks,
  }
}
