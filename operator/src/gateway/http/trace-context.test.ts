import { expect, test } from 'vitest'
import { continueTrace, createRandomHex, requestIdFrom } from './trace-context.ts'

const hex = (bytes: number) => 'ab'.repeat(bytes)
const traceId = '0af7651916cd43dd8448eb211c80319c'

test('a valid traceparent is continued with a new span and the same flags', () => {
  const trace = continueTrace(`00-${traceId}-b7ad6b7169203331-00`, 'vendor=1', hex)
  expect(trace).toEqual({
    traceId,
    traceparent: `00-${traceId}-${hex(8)}-00`,
    tracestate: 'vendor=1',
    parentId: 'b7ad6b7169203331',
  })
})

test('a newer version may carry more fields', () => {
  expect(continueTrace(`01-${traceId}-b7ad6b7169203331-01-more`, undefined, hex).traceId).toBe(traceId)
})

test.each([
  undefined,
  '',
  `00-${traceId}-b7ad6b7169203331-01-more`,
  `ff-${traceId}-b7ad6b7169203331-01`,
  `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-b7ad6b7169203331-01`,
  `00-${traceId}-b7ad6b7169203331-01\r\nx: y`,
])('%j starts a new trace and drops tracestate', (traceparent) => {
  const trace = continueTrace(traceparent, 'vendor=1', hex)
  expect(trace).toEqual({ traceId: hex(16), traceparent: `00-${hex(16)}-${hex(8)}-01`, tracestate: undefined })
})

test('a trace that begins here is recorded or not, one that came is what its caller decided', () => {
  const never = () => false
  expect(continueTrace(undefined, undefined, hex, never).traceparent).toMatch(/-00$/)
  expect(continueTrace(`00-${traceId}-b7ad6b7169203331-01`, undefined, hex, never).traceparent).toMatch(/-01$/)
})

test('a plain request id up to 128 characters is kept, anything else replaced', () => {
  expect(requestIdFrom('order-17/a', hex)).toBe('order-17/a')
  expect(requestIdFrom('x'.repeat(128), hex)).toBe('x'.repeat(128))
  for (const bad of [undefined, '', 'x'.repeat(129), 'a b', 'a"b', 'é']) expect(requestIdFrom(bad, hex)).toBe(hex(16))
})

test('random hex never repeats, also across refills of the pool', () => {
  const randomHex = createRandomHex()
  const seen = new Set(Array.from({ length: 2000 }, () => randomHex(16)))
  expect(seen.size).toBe(2000)
})
