import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { openContained } from './contained-file.ts'

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-contained-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  await mkdir(join(dir, 'root', 'data'), { recursive: true })
  await writeFile(join(dir, 'root', 'data', 'weights.bin'), 'inside')
  await writeFile(join(dir, 'canary'), 'outside')
  await symlink('../canary', join(dir, 'root', 'link'))
  await symlink('..', join(dir, 'root', 'up'))
  return dir
}

test('a plain file below the root is opened with its size', async () => {
  const { handle, sizeBytes } = await openContained(join(await folder(), 'root'), 'data/weights.bin')
  expect([await handle.readFile('utf8'), sizeBytes]).toEqual(['inside', 6])
  await handle.close()
})

test('a root that is itself reached through a link is the admin’s choice', async () => {
  const dir = await folder()
  await symlink('root', join(dir, 'alias'))
  const { handle } = await openContained(join(dir, 'alias'), 'data/weights.bin')
  await handle.close()
})

test('no path opens what lies outside, however it is put together', async () => {
  const root = join(await folder(), 'root')
  const part = fc.constantFrom('..', '.', '', 'data', 'weights.bin', 'link', 'up', 'canary', '\0', '\\', '%2e%2e', '/')
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), async (parts) => {
      const opened = await openContained(root, parts.join('/')).catch(() => undefined)
      if (opened === undefined) return
      const content = await opened.handle.readFile('utf8')
      await opened.handle.close()
      expect(content).toBe('inside')
    }),
    { numRuns: 500 },
  )
})
