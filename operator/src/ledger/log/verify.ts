import { emptyRoot, nodeHash } from './hash.ts'

export type Inclusion = { leaf: string; index: number; size: number; root: string; proof: readonly string[] }

/** Whether a leaf hash stands at `index` in the tree of that size and root (RFC 9162, section 2.1.3.2). */
export function isIncluded({ leaf, index, size, root, proof }: Inclusion): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false
  let [position, last, hash] = [index, size - 1, leaf]
  for (const step of proof) {
    if (last === 0) return false
    if (position % 2 === 1 || position === last) {
      hash = nodeHash(step, hash)
      while (position % 2 === 0 && position !== 0) [position, last] = [half(position), half(last)]
    } else {
      hash = nodeHash(hash, step)
    }
    ;[position, last] = [half(position), half(last)]
  }
  return last === 0 && hash === root
}

export type Consistency = { from: number; fromRoot: string; to: number; toRoot: string; proof: readonly string[] }

/** Whether the tree of size `to` goes on from that of size `from` (RFC 9162, section 2.1.4.2). */
export function isConsistent({ from, fromRoot, to, toRoot, proof }: Consistency): boolean {
  if (!isCount(from) || !isCount(to) || from > to) return false
  if (from === to) return proof.length === 0 && fromRoot === toRoot
  if (from === 0) return proof.length === 0 && fromRoot === emptyRoot
  let [position, last] = [from - 1, to - 1]
  while (position % 2 === 1) [position, last] = [half(position), half(last)]
  // A tree of a power of two is itself the first step.
  const steps = position === 0 ? [fromRoot, ...proof] : [...proof]
  const first = steps.shift()
  if (first === undefined) return false
  let [old, now] = [first, first]
  for (const step of steps) {
    if (last === 0) return false
    if (position % 2 === 1 || position === last) {
      old = nodeHash(step, old)
      now = nodeHash(step, now)
      while (position % 2 === 0 && position !== 0) [position, last] = [half(position), half(last)]
    } else {
      now = nodeHash(now, step)
    }
    ;[position, last] = [half(position), half(last)]
  }
  return last === 0 && old === fromRoot && now === toRoot
}

const half = (value: number) => Math.floor(value / 2)
const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
