import { emptyRoot, nodeHash } from './hash.ts'

/**
 * Hash of the complete subtree of 2^level leaves whose first leaf is `index` times 2^level; level 0 are the leaf hashes. A log keeps all of
 * them (fewer than two for each leaf), so that roots and proofs at any size read a few dozen of them and never the entries.
 */
export type NodeAt = (level: number, index: number) => Promise<string>

export type TreeNode = { level: number; index: number; hash: string }

/** What a log of `size` leaves must keep when one more comes: its leaf hash, and every subtree that it completes. */
export async function nodesOfAppend(size: number, leaf: string, nodeAt: NodeAt): Promise<TreeNode[]> {
  const nodes = [{ level: 0, index: size, hash: leaf }]
  let [level, index, hash] = [0, size, leaf]
  while (index % 2 === 1) {
    hash = nodeHash(await nodeAt(level, index - 1), hash)
    index = (index - 1) / 2
    level += 1
    nodes.push({ level, index, hash })
  }
  return nodes
}

/** Root of the first `size` leaves. */
export function rootOf(size: number, nodeAt: NodeAt): Promise<string> {
  return size === 0 ? Promise.resolve(emptyRoot) : hashOfRange(0, size, nodeAt)
}

/** RFC 6962, section 2.1.1: the way from a leaf to the root of the first `size` leaves. */
export async function inclusionProof(index: number, size: number, nodeAt: NodeAt): Promise<string[]> {
  if (!(index >= 0 && index < size)) throw new RangeError(`no leaf ${index} in a tree of ${size}`)
  const proof: string[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      proof.push(await hashOfRange(middle, end, nodeAt))
      end = middle
    } else {
      proof.push(await hashOfRange(start, middle, nodeAt))
      start = middle
    }
  }
  return proof.reverse()
}

/** RFC 6962, section 2.1.2: that the first `to` leaves begin with the first `from`. */
export async function consistencyProof(from: number, to: number, nodeAt: NodeAt): Promise<string[]> {
  if (!(from >= 0 && from <= to)) throw new RangeError(`no way from a tree of ${from} leaves to one of ${to}`)
  if (from === 0 || from === to) return []
  const proof: string[] = []
  let [start, end] = [0, to]
  let whole = true
  while (from !== end) {
    const middle = start + splitOf(end - start)
    if (from <= middle) {
      proof.push(await hashOfRange(middle, end, nodeAt))
      end = middle
    } else {
      proof.push(await hashOfRange(start, middle, nodeAt))
      start = middle
      whole = false
    }
  }
  if (!whole) proof.push(await hashOfRange(start, end, nodeAt))
  return proof.reverse()
}

/** `start` is a multiple of the smallest power of two that is not below the length. */
async function hashOfRange(start: number, end: number, nodeAt: NodeAt): Promise<string> {
  const length = end - start
  const split = splitOf(length)
  if (length === 1 || split * 2 === length) return nodeAt(Math.log2(length), start / length)
  return nodeHash(await nodeAt(Math.log2(split), start / split), await hashOfRange(start + split, end, nodeAt))
}

/** Largest power of two below `length`; 1 for one leaf. No bit operations: sizes may pass 2^31. */
function splitOf(length: number): number {
  let split = 1
  while (split * 2 < length) split *= 2
  return split
}
