import { createHash } from 'node:crypto'

/** One side of a join, as both have it in their Peers and Identities. */
export type JoinSide = {
  /** Public root key that the owner used when it joined (SubjectPublicKeyInfo, base64). */
  readonly rootKey: string
  readonly trustDomain: string
  readonly nonce: string
  readonly ownerId: string
  readonly clusterName: string
}

/** All that a join consists of. */
export type Transcript = {
  /** SHA-256 of the bytes of each file, hex: they bind what has no field here, such as addresses and authorities. */
  readonly inviteSha256: string
  readonly acceptanceSha256: string
  readonly expires: string
  readonly inviter: JoinSide
  readonly accepter: JoinSide
}

const label = 'hansa join transcript v1'
const fingerprintBytes = 16

/**
 * The fingerprint of a join that both admins read out: the first 128 bits of a SHA-256, as `xxxx-xxxx-...` in hex. Both sides
 * compute the same if and only if they have the same files.
 *
 * 128 bits suffice, though collisions of 128 bits cost only 2^64: a man in the middle cannot choose both sides freely. He fixes
 * what the accepter gets before the accepter draws its nonce, so what the accepter computes is a value that he could not
 * steer; and the invite, with the inviter's nonce, was fixed before. What is left to him is his own half of the inviter's transcript, which must
 * hit the one value of the accepter: a second preimage, 2^128 attempts, before the invite expires.
 */
export function fingerprintOf(transcript: Transcript): string {
  const { inviteSha256, acceptanceSha256, expires, inviter, accepter } = transcript
  const fields = [label, inviteSha256, acceptanceSha256, expires, ...side(inviter), ...side(accepter)]
  const digest = createHash('sha256').update(encode(fields)).digest('hex')
  return (digest.slice(0, 2 * fingerprintBytes).match(/.{4}/g) ?? []).join('-')
}

function side({ rootKey, trustDomain, nonce, ownerId, clusterName }: JoinSide): string[] {
  return [rootKey, trustDomain, nonce, ownerId, clusterName]
}

/** Number of fields, then each with its length in bytes before it: no two lists of fields have the same encoding. */
function encode(fields: readonly string[]): Buffer {
  const parts = fields.map((field) => Buffer.from(field, 'utf8'))
  return Buffer.concat([uint32(parts.length), ...parts.flatMap((part) => [uint32(part.length), part])])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/**
 * A fingerprint as an admin types it, in the form of `spec.fingerprint`; undefined when it is none. Blanks, dashes and capitals do not
 * matter; anything else does.
 */
export function readFingerprint(typed: string): string | undefined {
  const digits = typed.replaceAll(/[\s-]/g, '').toLowerCase()
  return /^[0-9a-f]{32}$/.test(digits) ? (digits.match(/.{4}/g) ?? []).join('-') : undefined
}
