import { expect, test } from 'vitest'
import { requestFacts } from './request-facts.ts'
import { createRules } from './rules.ts'

const facts = (url: string, writeIndex?: number) => ({
  ...requestFacts({ method: writeIndex === undefined ? 'GET' : 'POST', url, headers: {} }),
  writeIndex,
})
const list = facts('/api/v1/pods')
const watch = facts('/api/v1/pods?watch=1')

test('a rule applies as often as it says and remembers to what', () => {
  const rules = createRules()
  const rule = rules.inject({ type: 'Respond', status: 500 }, { times: 2 })
  expect([list, watch, list].map((asked) => rules.take(asked))).toEqual([rule, rule, undefined])
  expect(rule.hits).toEqual([list, watch])
})

test('a rule for the n-th write leaves the others alone', () => {
  const rules = createRules()
  const rule = rules.inject({ type: 'LoseReply' }, { when: (asked) => asked.writeIndex === 2 })
  const writes = [1, 2, 3].map((index) => rules.take(facts('/api/v1/namespaces/a/pods', index)))
  expect(writes).toEqual([undefined, rule, undefined])
})

test('of several rules that match the first applies, until it is removed or spent', () => {
  const rules = createRules()
  const first = rules.inject({ type: 'Cut' })
  const second = rules.inject({ type: 'Silence' }, { times: 1 })
  expect(rules.take(list)).toBe(first)
  first.remove()
  expect(rules.take(list)).toBe(second)
  expect(rules.take(list)).toBeUndefined()
})

test('faults of watches do not happen to lists, nor those of lists to watches', () => {
  const rules = createRules()
  const drop = rules.inject({ type: 'DropWatch' })
  expect([rules.take(list), rules.take(watch)]).toEqual([undefined, drop])
  rules.clear()
  const stale = rules.inject({ type: 'StaleList' })
  expect([rules.take(watch), rules.take(list)]).toEqual([undefined, stale])
})
