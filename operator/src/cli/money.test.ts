import { expect, test } from 'vitest'
import { moneyText, priceText } from './money.ts'
import { serviceName } from './service-name.ts'

test.each([
  [0, '0.00 EUR'],
  [1_500_000, '1.50 EUR'],
  [400, '0.0004 EUR'],
  [1_234_567, '1.234567 EUR'],
  [1_000_000_000_000_000, '1000000000.00 EUR'],
])('%d micros are %s', (micros, text) => {
  expect(moneyText(micros, 'EUR')).toBe(text)
})

test('without a price, or at 0, it is free', () => {
  expect(priceText(undefined)).toBe('free')
  expect(priceText({ currency: 'EUR', microsPerGPUHour: 0 })).toBe('free')
  expect(priceText({ currency: 'EUR', microsPerGPUHour: 400_000 })).toBe('0.40 EUR')
})

test.each(['chat', 'infer/chat', 'inferenceservices.hansa.dev/chat'])('%s names a service', (text) => {
  expect(serviceName(text)).toBe('chat')
})

test.each(['pod/chat', 'infer/', 'infer/a/b', '/chat'])('%s does not', (text) => {
  expect(() => serviceName(text)).toThrow('NAME or infer/NAME')
})
