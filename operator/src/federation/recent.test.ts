import { expect, test } from 'vitest'
import { createRecent } from './recent.ts'

test('what was not asked for longest is forgotten first', () => {
  const recent = createRecent<number>({ entries: 2, textLength: 10 })
  recent.add('one', 1)
  recent.add('two', 2)
  expect(recent.get('one')).toBe(1)
  recent.add('three', 3)
  expect(['one', 'two', 'three'].map((text) => recent.get(text))).toEqual([1, undefined, 3])
})

test('long texts are not kept', () => {
  const recent = createRecent<number>({ entries: 2, textLength: 3 })
  recent.add('long', 1)
  expect(recent.get('long')).toBeUndefined()
})
