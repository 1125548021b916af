import { expect, test } from 'vitest'
import { Ledger } from './ledger.ts'

test('a request that never ends, one that ends twice and one that ends wrongly are each told', () => {
  const ledger = new Ledger((_kind, outcome) => outcome === '200')
  ledger.begin('lost', 0)
  const twice = ledger.begin('twice', 0)
  twice('200')
  twice('200')
  ledger.begin('odd', 0)('500')
  ledger.begin('good', 0)('200')
  expect(ledger.unended()).toEqual(['lost'])
  expect(ledger.wrong).toEqual(['twice ended twice: 200, 200', 'odd ended with 500'])
  expect(ledger.begun).toBe(4)
  expect(ledger.counts()).toEqual([
    ['good: 200', 1],
    ['odd: 500', 1],
    ['twice: 200', 1],
  ])
})
