import { createHash, createPublicKey, verify } from 'node:crypto'

// Written once more, without the ledger's code, from RFC 6962, the DSSE protocol, and docs/receipts.md.

const sha256 = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export const hexOf = (...parts: (string | Uint8Array)[]) => sha256(...parts).toString('hex')

/** RFC 6962, section 2.1, by its recursive definition; leaves are bytes. */
export function treeHash(leaves: readonly Uint8Array[]): string {
  return rootOf(leaves.map((leaf) => sha256('\0', leaf))).toString('hex')
}

/** The same, of leaf hashes. */
export function rootOf(hashes: readonly Buffer[]): Buffer {
  const [only] = hashes
  if (only === undefined) return sha256('')
  if (hashes.length === 1) return only
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  return sha256('\u0001', rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)))
}

/** Roots at each of these sizes. A tree over thousands of leaves is hashed once for each, so they are few. */
export const rootAt = (hashes: readonly Buffer[], size: number) => rootOf(hashes.slice(0, size)).toString('hex')

export const leafOf = (bytes: string | Uint8Array) => sha256('\0', bytes)

export type Opened = { payload: Record<string, unknown>; sha256: string; type: string }

/** The payload of an envelope that is signed by that key (base64 of DER); undefined for any other. */
export function openBy(publicKey: string, envelope: string): Opened | undefined {
  const { payload, payloadType, signatures } = JSON.parse(envelope)
  const bytes = Buffer.from(payload, 'base64')
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${bytes.length} `),
    bytes,
  ])
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
  const isGood = signatures.length === 1 && verify(null, signed, key, Buffer.from(signatures[0].sig, 'base64'))
  return isGood
    ? { payload: JSON.parse(bytes.toString()), sha256: sha256(bytes).toString('hex'), type: payloadType }
    : undefined
}

/** One text for one value: members in the order of their names. */
export function oneText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, each]) => each !== undefined)
  members.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, each]) => `${JSON.stringify(name)}:${oneText(each)}`).join(',')}}`
}
