import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPathMapper } from './path-mapping.ts'

const map = createPathMapper([
  { containerPath: '/data', hostPath: '/h/1' },
  { containerPath: '/data/inner/', hostPath: '/h/2' },
  { containerPath: '/dev/termination-log', hostPath: '/h/3' },
  { containerPath: '/h', hostPath: '/x' },
])

test.each([
  ['/data', '/h/1'],
  ['/data/', '/h/1/'],
  ['/data/a/b', '/h/1/a/b'],
  ['/data/inner/x', '/h/2/x'],
  ['/data/innermost', '/h/1/innermost'],
  ['--dir=/data/a', '--dir=/h/1/a'],
  ['/data:/data/inner,/data', '/h/1:/h/2,/h/1'],
  ['{"dir":"/data/x"}', '{"dir":"/h/1/x"}'],
  ["cat '/data'>/dev/termination-log; ls", "cat '/h/1'>/h/3; ls"],
  ['file:///data/x', 'file:///h/1/x'],
  ['a\n/data', 'a\n/h/1'],
])('%s becomes %s', (text, expected) => {
  expect(map(text)).toBe(expected)
})

test.each([
  '/data2',
  '/data.json',
  '/data-old',
  '/var/data',
  './data',
  'https://host/data',
  'https://host:8443/data',
  '/dev/termination-log-2',
])('%s stays as it is', (text) => {
  expect(map(text)).toBe(text)
})

test('a mount path may hold characters that mean something in a pattern', () => {
  const odd = createPathMapper([{ containerPath: '/a+b (c)', hostPath: '/h' }])
  expect(odd('/a+b (c)/d')).toBe('/h/d')
  expect(odd('/aab (c)/d')).toBe('/aab (c)/d')
})

test('a text without a slash never changes', () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.includes('/')),
      (text) => map(text) === text,
    ),
  )
})
