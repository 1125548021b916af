import fc from 'fast-check'
import { expect, test } from 'vitest'
import { leafHash } from '../receipt.ts'
import { emptyRoot, nodeHash } from './hash.ts'
import { merkleRoot } from './root-builder.ts'
import { consistencyProof, inclusionProof, type NodeAt, nodesOfAppend, rootOf } from './tree.ts'
import { isConsistent, isIncluded } from './verify.ts'

/** Leaves and roots of the certificate-transparency project's own tests. */
const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const known = inputs.map((input) => leafHash(Buffer.from(input, 'hex')))

/** The tree as RFC 6962, section 2.1 defines it, word for word. */
function naiveRoot(leaves: readonly string[]): string {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leaves[0] ?? ''
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)))
}

async function grown(leaves: readonly string[]): Promise<NodeAt> {
  const nodes = new Map<string, string>()
  const nodeAt: NodeAt = async (level, index) => {
    const hash = nodes.get(`${level}/${index}`)
    if (hash === undefined) throw new Error(`node ${level}/${index} is not kept`)
    return hash
  }
  for (const [size, leaf] of leaves.entries()) {
    for (const { level, index, hash } of await nodesOfAppend(size, leaf, nodeAt)) nodes.set(`${level}/${index}`, hash)
  }
  return nodeAt
}

const leavesOf = (count: number) => Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`leaf ${index}`)))

test('roots are those of the test data of certificate transparency', async () => {
  const nodeAt = await grown(known)
  expect(emptyRoot).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(await rootOf(0, nodeAt)).toBe(emptyRoot)
  for (const [index, root] of roots.entries()) {
    expect(await rootOf(index + 1, nodeAt)).toBe(root)
    expect(merkleRoot(known.slice(0, index + 1))).toBe(root)
  }
})

test('proofs are those of the test data of certificate transparency', async () => {
  const nodeAt = await grown(known)
  expect(await inclusionProof(0, 8, nodeAt)).toEqual([
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ])
  expect(await inclusionProof(5, 8, nodeAt)).toEqual([
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ])
  expect(await consistencyProof(6, 8, nodeAt)).toEqual([
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ])
  expect(await consistencyProof(2, 5, nodeAt)).toEqual([
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  ])
})

test('for every size, leaf and earlier size: the root is the naive one and every proof holds', async () => {
  const leaves = leavesOf(40)
  const nodeAt = await grown(leaves)
  for (let size = 1; size <= leaves.length; size++) {
    const root = await rootOf(size, nodeAt)
    expect(root).toBe(naiveRoot(leaves.slice(0, size)))
    for (let index = 0; index < size; index++) {
      const proof = await inclusionProof(index, size, nodeAt)
      expect(isIncluded({ leaf: leaves[index] ?? '', index, size, root, proof })).toBe(true)
    }
    for (let from = 0; from <= size; from++) {
      const proof = await consistencyProof(from, size, nodeAt)
      const fromRoot = naiveRoot(leaves.slice(0, from))
      expect(isConsistent({ from, fromRoot, to: size, toRoot: root, proof })).toBe(true)
    }
  }
})

test('no proof holds for another leaf, position, size, root, or with a step changed, added or left out', async () => {
  const leaves = leavesOf(70)
  const nodeAt = await grown(leaves)
  const other = leafHash(Buffer.from('other'))
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 70 }), fc.nat(), fc.nat(), fc.nat(), async (size, a, b, c) => {
      const root = await rootOf(size, nodeAt)
      const index = a % size
      const leaf = leaves[index] ?? ''
      const proof = await inclusionProof(index, size, nodeAt)
      const good = { leaf, index, size, root, proof }
      const at = b % proof.length
      const changed = proof.map((step, i) => (i === at ? other : step))
      const otherIndex = c % size
      expect(isIncluded({ ...good, leaf: other })).toBe(false)
      expect(isIncluded({ ...good, root: other })).toBe(false)
      expect(isIncluded({ ...good, proof: changed })).toBe(false)
      expect(isIncluded({ ...good, proof: proof.slice(1) })).toBe(false)
      expect(isIncluded({ ...good, proof: [...proof, other] })).toBe(false)
      expect(isIncluded({ ...good, index: otherIndex })).toBe(otherIndex === index)
      expect(isIncluded({ ...good, index: size })).toBe(false)

      const from = 1 + (b % (size - 1))
      const fromRoot = await rootOf(from, nodeAt)
      const way = await consistencyProof(from, size, nodeAt)
      const known = { from, fromRoot, to: size, toRoot: root, proof: way }
      expect(isConsistent({ ...known, fromRoot: other })).toBe(false)
      expect(isConsistent({ ...known, toRoot: other })).toBe(false)
      expect(isConsistent({ ...known, proof: way.slice(1) })).toBe(false)
      expect(isConsistent({ ...known, proof: [...way, other] })).toBe(false)
      const forked = way.map((step, i) => (i === c % way.length ? other : step))
      expect(isConsistent({ ...known, proof: forked })).toBe(false)
    }),
  )
})

test('numbers that are no sizes are refused', async () => {
  const nodeAt = await grown(known)
  await expect(inclusionProof(3, 3, nodeAt)).rejects.toThrow(RangeError)
  await expect(consistencyProof(4, 3, nodeAt)).rejects.toThrow(RangeError)
  expect(isIncluded({ leaf: '', index: -1, size: 1, root: '', proof: [] })).toBe(false)
  expect(isIncluded({ leaf: '', index: 0.5, size: 1, root: '', proof: [] })).toBe(false)
  expect(isConsistent({ from: 2, fromRoot: '', to: 1, toRoot: '', proof: [] })).toBe(false)
})
