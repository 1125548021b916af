import { expect, test } from 'vitest'
import { merkleRoot } from './log/root-builder.ts'
import { leafHash } from './receipt.ts'
import { restoreProblem } from './restore-problem.ts'

const leaves = Array.from({ length: 9 }, (_, index) => leafHash(Buffer.from(`${index}`)))
const rootAt = async (size: number) => merkleRoot(leaves.slice(0, size))
const local = { size: 6, rootAt }
const head = (witness: string, size: number) => ({ witness, size, root: merkleRoot(leaves.slice(0, size)) })

test('a log that has all that witnesses saw goes on', async () => {
  expect(await restoreProblem(local, [])).toBeUndefined()
  expect(await restoreProblem(local, [head('b', 0), head('c', 4), head('d', 6)])).toBeUndefined()
})

test('a log that lacks entries which a witness saw does not', async () => {
  expect(await restoreProblem(local, [head('b', 4), head('c', 9), head('d', 7)])).toMatchObject({
    reason: 'Behind',
    size: 9,
    message: expect.stringContaining('c has seen 9'),
  })
})

test('a log that says something else than what a witness saw is a fork, also when another witness is ahead', async () => {
  const forked = { witness: 'b', size: 4, root: leafHash(Buffer.from('x')) }
  expect(await restoreProblem(local, [forked, head('c', 9)])).toMatchObject({ reason: 'Forked', size: 4 })
})
