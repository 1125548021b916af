import { createHash, hash } from 'node:crypto'
import { z } from 'zod'
import { currency, dataClass, micros, purpose, requestId, sequence, sha256 } from '../api/owner-scalars.ts'
import { canonicalJson } from '../federation/canonical-json.ts'

/** 16 random bytes, base64url without padding. */
const random = z
  .string()
  .max(22)
  .regex(/^[A-Za-z0-9_-]{22}$/)

const bytes = z.int().min(0).max(1_125_899_906_842_624)

/**
 * One request that an owner answered for another: the leaf of a claim's tree. The executor makes it, and says it to the requester at the
 * end of the answer; both keep the same bytes. Of persons and contents it has salted commitments only: without the salt, which each side
 * keeps apart and may delete, they are noise.
 */
export const receiptSchema = z.strictObject({
  version: z.literal(1),
  /** The grant: id of the request by which the work was asked for, and its epoch. */
  requestId,
  epoch: sequence,
  /** Chosen by the requester's gateway, unique within the grant; a second receipt of the same id is a replay. */
  id: random,
  /** When the answer ended, by the executor's clock, RFC 3339 in UTC with milliseconds. */
  ended: z.string().max(24),
  /** SHA-256 over the model's files, see `modelDigest`. */
  model: sha256,
  /** Commitments to the bytes of the request's body, the bytes of the answer's body, and the caller's name. */
  request: sha256,
  response: sha256,
  caller: sha256,
  requestBytes: bytes,
  responseBytes: bytes,
  /** HTTP status, or 499 when the requester's side broke off. */
  status: z.int().min(100).max(599),
  inputTokens: z.int().min(0).max(1_000_000_000),
  outputTokens: z.int().min(0).max(1_000_000_000),
  /** Milliseconds that it had a worker, times GPUs of the worker. */
  busyGPUMilliseconds: z.int().min(0).max(1_000_000_000_000),
  price: z.strictObject({ currency, microsPerGPUHour: micros }).optional(),
  dataClass,
  purpose,
})
export type Receipt = z.infer<typeof receiptSchema>

/** The bytes that both sides keep and hash. */
export function receiptBytes(receipt: Receipt): Buffer {
  return Buffer.from(canonicalJson(receipt))
}

/** RFC 6962 hash of a leaf: SHA-256 of a zero byte and the receipt's bytes; hex. */
export function leafHash(leaf: Uint8Array): string {
  return createHash('sha256').update(Uint8Array.of(0)).update(leaf).digest('hex')
}

export type Committed = 'request' | 'response' | 'caller'
const tags: Readonly<Record<Committed, number>> = { request: 1, response: 2, caller: 3 }

/** Commitment to something by its SHA-256: SHA-256 of the salt (16 bytes), a byte for what it is, and that digest; hex. */
export function commitment(what: Committed, salt: Uint8Array, digest: Uint8Array): string {
  // One call is a third of the time of a Hash and its updates, and each request makes several.
  return hash('sha256', Buffer.concat([salt, Uint8Array.of(tags[what]), digest]), 'hex')
}

/** SHA-256 over the sorted digests of a model's files and their paths; hex. */
export function modelDigest(files: readonly { path: string; sha256: string }[]): string {
  const lines = files.map((file) => `${file.sha256}  ${file.path}\n`)
  return createHash('sha256').update(lines.sort().join('')).digest('hex')
}
