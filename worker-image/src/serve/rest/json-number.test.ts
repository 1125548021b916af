import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NumberReader } from './json-number.ts'

function read(text: string): NumberReader | undefined {
  const reader = new NumberReader(Buffer.from(text))
  return reader.read(0) && reader.end === text.length ? reader : undefined
}

const digits = fc.stringMatching(/^[0-9]{1,25}$/)
const numberText = fc
  .tuple(fc.boolean(), digits, fc.option(digits), fc.option(fc.integer({ min: -330, max: 330 })))
  .map(([negative, whole, fraction, exponent]) => {
    const integer = whole.replace(/^0+(?=.)/, '')
    return `${negative ? '-' : ''}${integer}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`
  })

test('a number reads as the double that JSON.parse gives', () => {
  fc.assert(
    fc.property(fc.oneof(numberText, fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)), (text) => {
      expect(read(text)?.double()).toBe(Number(text))
    }),
    { numRuns: 3000 },
  )
})

test('a single is the rounding of the nearest double, also for the long digits of printed floats', () => {
  const printed = fc.float({ noNaN: true, noDefaultInfinity: true }).map(String)
  fc.assert(
    fc.property(fc.oneof(printed, numberText), (text) => {
      expect(read(text)?.single()).toBe(Math.fround(Number(text)))
    }),
    { numRuns: 3000 },
  )
})

test('whole numbers of 64 bits keep every digit', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
      expect(read(String(value))?.bigInteger()).toBe(value)
    }),
  )
})

test.each([
  '1.5',
  '1e-1',
  '9007199254740993.0',
  '123456789012345678901',
  '9007199254740992e1',
])('%s is not taken for a whole number that it may not be', (text) => expect(read(text)?.bigInteger()).toBeUndefined())

test.each([
  ['1e3', 1000n],
  ['12.50e1', 125n],
  ['-0', 0n],
])('%s is the whole number %s', (text, value) => expect(read(text)?.bigInteger()).toBe(value))

test('what is not a JSON number is not read as one', () => {
  for (const text of [
    '',
    '-',
    '+1',
    '01',
    '-01',
    '.5',
    '1.',
    '1.e2',
    '1e',
    '1e+',
    '0x10',
    'NaN',
    'Infinity',
    '1_000',
    '１',
  ]) {
    expect(read(text), text).toBeUndefined()
  }
  fc.assert(
    fc.property(fc.stringMatching(/^[-+.0-9eE]{1,8}$/), (text) => {
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      expect(read(text) !== undefined).toBe(isJson)
    }),
    { numRuns: 3000 },
  )
})
