import { expect, test } from 'vitest'
import { createJournal } from './journal.ts'
import { requestFacts } from './request-facts.ts'

test('requests are counted by minute, client, verb and resource until cleared', () => {
  let now = 1_000_000
  const journal = createJournal(() => now)
  const open = (url: string, userAgent: string) =>
    journal.open(requestFacts({ method: 'GET', url, headers: { 'user-agent': userAgent } }))
  open('/api/v1/pods', 'operator')
  now += 59_999
  open('/api/v1/pods', 'operator')
  now += 120_000
  open('/api/v1/pods?watch=1', 'gateway')
  expect(journal.perMinute()).toEqual([2, 0, 1])
  expect(journal.perMinute((facts) => facts.isWatch)).toEqual([0, 0, 1])
  expect(journal.counts()).toEqual({ 'operator list pods': 2, 'gateway watch pods': 1 })
  journal.clear()
  expect([journal.requests(), journal.perMinute()]).toEqual([[], [0]])
})
