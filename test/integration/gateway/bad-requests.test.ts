import { expect, test } from 'vitest'
import { suite } from '../../bad-input/requests/gateway-cases.ts'
import { runSuite } from '../../bad-input/run-suite.ts'

test('every malformed request to the gateway gets its documented refusal and reaches no worker', async () => {
  expect(suite.cases.length).toBeGreaterThan(60)
  expect(new Set(suite.cases.map(({ name }) => name)).size).toBe(suite.cases.length)
  const result = await runSuite(suite, () => undefined)
  expect(result.failures).toEqual([])
  expect(result.letThrough).toBe(0)
}, 240_000)
