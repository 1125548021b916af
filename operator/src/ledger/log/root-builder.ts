import { emptyRoot, nodeHash } from './hash.ts'

/** Builds the root of leaf hashes that come one by one, in memory that grows with the logarithm of their number. */
export class RootBuilder {
  size = 0
  /** Hashes of the complete subtrees from left to right, each smaller than the one before it. */
  readonly #peaks: string[] = []

  add(leaf: string): void {
    let hash = leaf
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) hash = nodeHash(this.#peaks.pop() ?? '', hash)
    this.#peaks.push(hash)
    this.size += 1
  }

  root(): string {
    return this.#peaks.length === 0 ? emptyRoot : this.#peaks.reduceRight((right, left) => nodeHash(left, right))
  }
}

/** RFC 6962 root of these leaf hashes in this order. */
export function merkleRoot(leaves: Iterable<string>): string {
  const builder = new RootBuilder()
  for (const leaf of leaves) builder.add(leaf)
  return builder.root()
}
