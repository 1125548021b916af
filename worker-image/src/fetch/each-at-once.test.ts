import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eachAtOnce } from './each-at-once.ts'

const never = new AbortController().signal

test('every item is worked on, never more at once than allowed', async () => {
  let running = 0
  let most = 0
  const done: number[] = []
  await eachAtOnce([1, 2, 3, 4, 5], 2, never, () => async (item) => {
    running += 1
    most = Math.max(most, running)
    await turn()
    running -= 1
    done.push(item)
  })
  expect([most, done.sort()]).toEqual([2, [1, 2, 3, 4, 5]])
})

test('the first failure stops the others, and is thrown when they have ended', async () => {
  const ended: string[] = []
  const started: number[] = []
  const work = eachAtOnce([1, 2, 3], 2, never, (stop) => async (item) => {
    started.push(item)
    if (item === 1) throw new Error('first')
    await new Promise((resolve) => stop.addEventListener('abort', resolve))
    await turn()
    ended.push('second')
    throw new Error('second')
  })
  await expect(work).rejects.toThrow('first')
  expect([started, ended]).toEqual([[1, 2], ['second']])
})
