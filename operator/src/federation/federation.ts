import type { Peer } from '../api/peer.ts'
import type { Bundle, MessageKind, MessageOf, Role } from './messages.ts'

/** Why a message is not taken. */
export type MessageProblem = {
  reason:
    | 'Malformed'
    | 'SignatureInvalid'
    | 'WrongIssuer'
    | 'WrongAudience'
    | 'Expired'
    | 'NotYetValid'
    | 'KeyRevoked'
    | 'PeerNotReady'
  message: string
}

export type Opened<K extends MessageKind> =
  | { ok: true; message: MessageOf<K>; payloadSha256: string }
  | { ok: false; problem: MessageProblem }

/**
 * Opens messages of a peer: decodes the DSSE envelope (bounded), checks payload type, signature by a role key of *that peer's*
 * checked bundle (`peer.status.bundle`), issuer and audience, and, unless `ignoreExpiry`, `issued` and `expires` by `now`.
 * Needs no secret; used by link and operator.
 */
export type OpenMessage = <K extends MessageKind>(
  kind: K,
  envelope: string,
  options: { peer: Peer; ownBundle: Bundle; now: number; ignoreExpiry?: boolean },
) => Opened<K>

/** Fields of a message that the signer fills in. */
type Filled = 'version' | 'issuer' | 'audience' | 'issued' | 'expires'

/** Makes messages in the name of one Identity; only the operator has one. */
export type Seal = <K extends Exclude<MessageKind, 'Bundle' | 'Rotation'>>(
  kind: K,
  message: Omit<MessageOf<K>, Filled>,
  options: { identityName: string; peer: Peer; seconds: number; signal: AbortSignal },
) => Promise<string>

/** Which key signs a message. */
export type RoleOf = (kind: MessageKind) => Role | 'Root'
