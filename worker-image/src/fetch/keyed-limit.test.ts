import { expect, test } from 'vitest'
import { KeyedLimit } from './keyed-limit.ts'

const never = new AbortController().signal

function job() {
  let finish = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  return { done, finish }
}

test('one namespace cannot take all the places', async () => {
  const limit = new KeyedLimit(3, 2)
  const started: string[] = []
  const jobs = Array.from({ length: 5 }, job)
  const runs = jobs.map(({ done }, index) =>
    limit.run('greedy', never, () => {
      started.push(`greedy ${index}`)
      return done
    }),
  )
  await limit.run('modest', never, async () => {
    started.push('modest')
  })
  expect(started).toEqual(['greedy 0', 'greedy 1', 'modest'])
  for (const { finish } of jobs) finish()
  await Promise.all(runs)
  expect([started.length, limit.running]).toEqual([6, 0])
})

test('a place is free again after a failure', async () => {
  const limit = new KeyedLimit(1, 1)
  await expect(limit.run('a', never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(await limit.run('a', never, async () => 'next')).toBe('next')
})

test('who gives up waiting leaves the queue', async () => {
  const limit = new KeyedLimit(1, 1)
  const { done, finish } = job()
  const first = limit.run('a', never, () => done)
  const impatient = new AbortController()
  const second = limit.run('b', impatient.signal, async () => 'ran')
  impatient.abort(new Error('no longer'))
  await expect(second).rejects.toThrow('no longer')
  finish()
  await first
  expect(limit.running).toBe(0)
})
