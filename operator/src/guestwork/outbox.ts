import type { GuestWorkStatus } from '../api/guest-work.ts'
import type { ToRequester } from '../api/remote-work.ts'
import type { Body } from '../grant/body.ts'
import { type Confirmed, nextSequence } from '../grant/sequence.ts'

export type Outbox = NonNullable<GuestWorkStatus['outbox']>

/** Bodies without their sequence, which the outbox gives. */
type Unnumbered<K extends ToRequester> = Omit<Body<K>, 'sequence'>

export type Letter =
  | { kind: 'Answer'; body: Unnumbered<'Answer'>; seconds: number }
  | { kind: 'RenewalAsk'; body: Unnumbered<'RenewalAsk'>; seconds: number }
  | { kind: 'Report'; body: Unnumbered<'Report'>; seconds: number }

export type SealLetter = (letter: Letter, sequence: number) => Promise<string>

/** Puts letters in the place of older ones of their kind, each with a larger sequence than any before. */
export async function post(
  outbox: Outbox,
  letters: readonly Letter[],
  confirmed: Confirmed,
  seal: SealLetter,
): Promise<Outbox> {
  let posted = outbox
  for (const letter of letters) {
    const last = posted.find(({ kind }) => kind === letter.kind)
    const sequence = nextSequence(last?.sequence, confirmed)
    const entry = { kind: letter.kind, sequence, envelope: await seal(letter, sequence) }
    posted = [...posted.filter(({ kind }) => kind !== letter.kind), entry]
  }
  return posted
}

/** Whether the peer's link has taken the newest message of that kind. */
export function isDelivered({ outbox = [], delivered = [] }: GuestWorkStatus, kind: ToRequester): boolean {
  const last = outbox.find((each) => each.kind === kind)
  const taken = delivered.find((each) => each.kind === kind)
  return last !== undefined && taken !== undefined && taken.sequence >= last.sequence
}
