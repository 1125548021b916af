import { createHash } from 'node:crypto'

const empty = createHash('sha256').digest('hex')

/** RFC 6962 root of the receipts of a claim: of their leaf hashes (hex) in ascending order. */
export function receiptRoot(leaves: readonly string[]): string {
  if (leaves.length === 0) return empty
  return rootOf([...leaves].sort().map((leaf) => Buffer.from(leaf, 'hex'))).toString('hex')
}

function rootOf(hashes: readonly Buffer[]): Buffer {
  let level = hashes
  // A tree that is built from the bottom, the odd one going up as it is, is the tree of RFC 6962.
  while (level.length > 1) {
    const above: Buffer[] = []
    for (let i = 0; i < level.length; i += 2) {
      const [left, right] = [level[i], level[i + 1]]
      if (left === undefined) break
      above.push(
        right === undefined ? left : createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest(),
      )
    }
    level = above
  }
  return level[0] ?? Buffer.from(empty, 'hex')
}
