import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type StatementRow, statementOf } from './statement.ts'
import { statementCsv } from './statement-csv.ts'

const units = {
  requests: 3,
  inputTokens: 30,
  outputTokens: 60,
  requestBytes: 300,
  responseBytes: 3000,
  busyGPUMilliseconds: 15_000,
  reservedGPUSeconds: 60,
}
const row = (changes: Partial<StatementRow> = {}): StatementRow => ({
  side: 'Executor',
  peer: 'university',
  namespace: 'guests',
  service: 'papers',
  units,
  price: { currency: 'EUR', microsPerGPUHour: 400_000 },
  micros: 6666,
  state: 'Agreed',
  ...changes,
})

test('claims are summed by peer, side, service, cost centre and currency', () => {
  const { lines, balances, money } = statementOf([
    row(),
    row({ state: 'Disputed', preemptedGPUSeconds: 30 }),
    row({ costCentre: '4711', state: 'Claimed' }),
    row({ side: 'Requester', namespace: 'library', units: { ...units, reservedGPUSeconds: 10 } }),
  ])
  expect(lines).toHaveLength(3)
  expect(lines[0]).toEqual({
    ...{
      side: 'Executor',
      peer: 'university',
      namespace: 'guests',
      service: 'papers',
      costCentre: '',
      currency: 'EUR',
    },
    ...{ claims: 2, requests: 6, inputTokens: 60, outputTokens: 120, requestBytes: 600, responseBytes: 6000 },
    ...{ reservedGPUSeconds: 120, busyGPUMilliseconds: 30_000, idleGPUMilliseconds: 90_000, preemptedGPUSeconds: 30 },
    ...{ micros: 13_332, agreedMicros: 6666, disputedMicros: 6666 },
  })
  expect(balances).toEqual([{ peer: 'university', givenGPUSeconds: 180, takenGPUSeconds: 10, barterGPUSeconds: 170 }])
  expect(money).toEqual([
    { currency: 'EUR', receivable: 19_998, payable: 6666, agreedReceivable: 6666, agreedPayable: 6666 },
  ])
})

test('a sum that a number does not hold exactly is refused, not rounded', () => {
  const huge = row({ micros: Number.MAX_SAFE_INTEGER })
  expect(() => statementOf([huge, huge])).toThrow(RangeError)
})

test('no cell of the CSV is a formula, whatever services and cost centres are called', () => {
  expect(statementCsv(statementOf([row({ costCentre: '=HYPERLINK("http://x")' })]))).toContain(
    `,"'=HYPERLINK(""http://x"")",`,
  )
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('=', '+', '-', '@', '\t', '\r', ' ='), (rest, first) => {
      const text = statementCsv(statementOf([row({ costCentre: first + rest })]))
      expect(text).toMatch(/papers,"?'/)
    }),
  )
})
