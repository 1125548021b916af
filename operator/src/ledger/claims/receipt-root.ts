import { merkleRoot } from '../log/root-builder.ts'

/** RFC 6962 root of the receipts of a claim: of their leaf hashes (hex) in ascending order. */
export function receiptRoot(leaves: readonly string[]): string {
  return merkleRoot([...leaves].sort())
}
