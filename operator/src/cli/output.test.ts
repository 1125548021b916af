import { expect, test } from 'vitest'
import { plain } from './io.ts'
import { age, bytesText, columns } from './output.ts'

test('columns are as wide as their widest cell and end without blanks', () => {
  expect(
    columns(
      ['NAME', 'URL'],
      [
        ['a', ''],
        ['digits', 'https://x'],
      ],
    ),
  ).toBe('NAME     URL\na\ndigits   https://x\n')
})

test('words from a cluster cannot steer the terminal', () => {
  expect(plain('a\u001b[2Jb\rc\u009bd')).toBe('a?[2Jb?c?d')
  expect(columns(['N'], [['\u001b]0;title\u0007']])).not.toContain('\u001b')
})

test('ages read as kubectl prints them', () => {
  const at = (seconds: number) => age('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:00Z') + seconds * 1000)
  expect([at(0), at(119), at(120), at(7200), at(200_000)]).toEqual(['0s', '119s', '2m', '2h', '2d'])
  expect(age(undefined, 0)).toBe('')
})

test('bytes read in binary units', () => {
  expect([bytesText(999), bytesText(1536), bytesText(5 * 1024 ** 3)]).toEqual(['999 B', '1.5 KiB', '5.0 GiB'])
})
