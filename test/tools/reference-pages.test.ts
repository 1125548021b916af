import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(resolve(root, path), 'utf8')
const sources = globSync(['operator/src/**/*.ts', 'worker-image/src/**/*.ts'], { cwd: root }).filter(
  (path) => !path.endsWith('.test.ts'),
)

/** What the first group of the pattern finds in these files. */
function found(paths: string[], pattern: RegExp): Set<string> {
  return new Set(paths.flatMap((path) => [...read(path).matchAll(pattern)].map((match) => match[1] ?? '')))
}

test('the page of settings has every variable that a process reads, and no other', () => {
  const schemas = sources.filter((path) => /settings\.ts$/.test(path))
  const inCode = found(schemas, /^ +((?:HANSA|POD|KUBERNETES)_[A-Z_]+):/gm)
  expect(inCode.size).toBeGreaterThan(50)
  expect([...found(['docs/settings.md'], /`((?:HANSA|POD|KUBERNETES)_[A-Z_]+)`/g)].sort()).toEqual(
    [...inCode.add('HANSA_LOG_LEVEL')].sort(),
  )
})

test('the page of metrics has every metric of ours, and no other', () => {
  const inCode = found(sources, /'(hansa_[a-z_]+)'/g)
  expect(inCode.size).toBeGreaterThan(30)
  expect([...found(['docs/metrics.md'], /`(hansa_[a-z_]+)`/g)].sort()).toEqual([...inCode].sort())
})
