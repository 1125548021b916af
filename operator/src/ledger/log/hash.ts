import { createHash } from 'node:crypto'

/** RFC 6962, section 2.1: hash of an inner node, of the hashes (hex) of its children; hex. */
export function nodeHash(left: string, right: string): string {
  return createHash('sha256').update(Uint8Array.of(1)).update(left, 'hex').update(right, 'hex').digest('hex')
}

/** Hash of a tree without leaves: SHA-256 of nothing. */
export const emptyRoot = createHash('sha256').digest('hex')
