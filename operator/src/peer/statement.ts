import type { OwnerIdentity } from '../api/identity.ts'
import { leaveAnnotation, type Peer } from '../api/peer.ts'
import { canonicalJson, parseCanonicalJson } from '../federation/canonical-json.ts'
import { readEnvelope } from '../federation/dsse.ts'
import type { Seal } from '../federation/federation.ts'
import type { Bundle, MessageOf } from '../federation/messages.ts'
import { confirmationSchema, goodbyeSchema } from '../federation/messages.ts'
import { nextConfirmation, type Told } from '../grant/restore.ts'

/** How long a statement may be delivered; it is said anew after half of it. */
export const statementSeconds = 86_400

type Statements = { outgoing?: string; goodbye?: string; told?: Told }

/**
 * The signed statements of a peer: those that it has, as long as they say what is to be said, are young, and are signed by a key that
 * our bundle of now still names; else new ones.
 */
export async function statementsOf(
  input: {
    peer: Peer
    identity: OwnerIdentity
    own: Bundle
    /** Our question of this start. */
    asks: string
    heard: MessageOf<'Confirmation'> | undefined
    /** Highest epoch in the leases that the peer gave us. */
    epochSeen: number
    now: number
  },
  seal: Seal,
  signal: AbortSignal,
): Promise<Statements> {
  const { peer, identity, own, asks, heard, epochSeen, now } = input
  const before = peer.status?.statement ?? {}
  const options = { identityName: identity.metadata.name, peer, seconds: statementSeconds, signal }
  const last = peek(before.outgoing, confirmationSchema)
  const { body, told } = nextConfirmation({
    asks,
    heard,
    told: peer.status?.told,
    ownIncarnation: peer.status?.incarnation ?? 0,
    // What was said once is never taken back, though the leases that it came from are gone.
    epochSeen: Math.max(epochSeen, last?.epoch ?? 0),
    sequence: sequenceAfter(last, now),
  })
  const outgoing = stays(before.outgoing, last, body, own, now)
    ? before.outgoing
    : await seal('Confirmation', body, options)
  const lastGoodbye = peek(before.goodbye, goodbyeSchema)
  const state = goodbyeOf(peer, identity, lastGoodbye?.state)
  const said = state === undefined ? undefined : { sequence: sequenceAfter(lastGoodbye, now), state }
  const goodbye =
    said === undefined || stays(before.goodbye, lastGoodbye, said, own, now)
      ? before.goodbye
      : await seal('Goodbye', said, options)
  return {
    ...(outgoing !== undefined && { outgoing }),
    ...(goodbye !== undefined && { goodbye }),
    ...(told !== undefined && { told }),
  }
}

/** What to tell the peer of our being there; nothing while nothing has ever been said. */
function goodbyeOf(
  peer: Peer,
  identity: OwnerIdentity,
  last: MessageOf<'Goodbye'>['state'] | undefined,
): MessageOf<'Goodbye'>['state'] | undefined {
  const { annotations, deletionTimestamp } = peer.metadata
  if (deletionTimestamp !== undefined || annotations?.[leaveAnnotation] !== undefined) return 'Left'
  if (peer.spec.suspend || identity.spec.suspend) return 'Frozen'
  return last === undefined ? undefined : 'Back'
}

/** Wall-clock milliseconds, so that a restore from a backup does not go back. */
function sequenceAfter(last: { sequence: number } | undefined, now: number): number {
  return Math.max(now, (last?.sequence ?? 0) + 1)
}

type Sealed = { issued: string; sequence: number }

function stays(
  envelope: string | undefined,
  last: Sealed | undefined,
  body: { sequence: number },
  own: Bundle,
  now: number,
): boolean {
  if (envelope === undefined || last === undefined) return false
  const keyId = readEnvelope(envelope)?.keyId
  if (!own.roleKeys.some((key) => key.keyId === keyId) || own.revoked.includes(keyId ?? '')) return false
  if (now - Date.parse(last.issued) > (statementSeconds * 1000) / 2) return false
  return canonicalJson({ ...last, ...body, sequence: 0 }) === canonicalJson({ ...last, sequence: 0 })
}

function peek<T>(envelope: string | undefined, schema: { safeParse(value: unknown): { data?: T } }): T | undefined {
  const read = envelope === undefined ? undefined : readEnvelope(envelope)
  const parsed = read === undefined ? undefined : parseCanonicalJson(read.payload)
  return parsed === undefined ? undefined : schema.safeParse(parsed.value).data
}
