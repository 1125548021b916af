import { describe, expect, test } from 'vitest'
import type { ContractCase } from '../../contract/case.ts'
import { contractCases } from '../../contract/cases.ts'
import { difference } from '../../contract/matches.ts'
import { runContract } from '../../contract/run-contract.ts'

test('every case of the inference protocol is there once, three hundred or more', () => {
  expect(contractCases.length).toBeGreaterThanOrEqual(300)
  expect(new Set(contractCases.map(({ id }) => id)).size).toBe(contractCases.length)
})

test('a worker and the gateway answer every case as the specification says', { timeout: 900_000 }, async () => {
  const result = await runContract(() => undefined)
  expect(result.failures).toEqual([])
  expect(result.ran).toEqual({ worker: contractCases.length, gateway: contractCases.length })
})

test('an answer unlike the table is told, in every protocol and at both', { timeout: 120_000 }, async () => {
  const spoilt = contractCases
    .filter(({ service, id }) => service === 'scalar' && /^(REST|gRPC) a scalar$/.test(id))
    .map((row): ContractCase => {
      if (row.protocol === 'REST') return { ...row, expect: { ...row.expect, json: { model_version: '2' } } }
      if (row.protocol === 'gRPC') return { ...row, expect: { ...row.expect, response: { model_version: '2' } } }
      return row
    })
  const { failures } = await runContract(() => undefined, spoilt)
  expect(failures).toEqual([
    'worker, REST a scalar: .model_version: "1" instead of "2"',
    'worker, gRPC a scalar: .model_version: "1" instead of "2"',
    'gateway, REST a scalar: .model_version: "1" instead of "2"',
    'gateway, gRPC a scalar: .model_version: "1" instead of "2"',
  ])
})

describe('what is held against an answer', () => {
  test.each<[string, unknown, unknown]>([
    ['another value', { a: 1 }, { a: 2 }],
    ['a missing member', {}, { a: 1 }],
    ['a list that is longer', [1, 2], [1]],
    ['other bytes', Buffer.from([1]), Buffer.from([2])],
    ['a text unlike an expression', 'abc', /^b/],
    ['a number for a text', { a: 1 }, { a: '1' }],
    ['nothing for an object', null, { a: 1 }],
    ['NaN for a number', [Number.NaN], [0]],
  ])('finds %s', (_name, found, wanted) => {
    expect(difference(found, wanted)).toBeDefined()
  })

  test.each<[string, unknown, unknown]>([
    ['more members than are asked for', { a: 1, b: 2 }, { a: 1 }],
    ['NaN', [Number.NaN], [Number.NaN]],
    ['64-bit integers', [9_007_199_254_740_993n], [9_007_199_254_740_993n]],
    ['the same bytes', Buffer.from([1]), Uint8Array.of(1)],
  ])('lets %s pass', (_name, found, wanted) => {
    expect(difference(found, wanted)).toBeUndefined()
  })
})
