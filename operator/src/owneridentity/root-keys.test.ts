import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { memoryStore, ownerIdentity } from '../../../test/builders/key-store.ts'
import { checkBundle } from '../federation/bundle.ts'
import { keyIdOf } from '../federation/public-key.ts'
import { advanceKeys } from './advance-keys.ts'
import { type RootKeys, secretRootKeys } from './root-keys.ts'

const program = join(import.meta.dirname, '../../../test/builders/other-process-signer.ts')
const { signal } = new AbortController()
const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** Root keys of which each lies in a process of its own. */
function otherProcess(): RootKeys & { end(): Promise<void> } {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = new Map<number, (answer: string) => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer }: { id: number; answer: string } = JSON.parse(line)
    waiting.get(id)?.(answer)
  })
  let last = 0
  const ask = (bytes?: Uint8Array) => {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.reject(new Error('the device is away'))
    const id = ++last
    child.stdin.write(
      `${JSON.stringify({ id, ...(bytes !== undefined && { bytes: Buffer.from(bytes).toString('base64') }) })}\n`,
    )
    return new Promise<string>((resolve) => waiting.set(id, resolve))
  }
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill()
    await ended
  }
  stops.push(end)
  return {
    end,
    make: async () => ({ publicKey: await ask(), handle: 'slot-1' }),
    open: ({ publicKey }) => ({
      publicKey,
      keyId: keyIdOf(publicKey),
      algorithm: 'P-256',
      sign: async (bytes) => Buffer.from(await ask(bytes), 'base64'),
    }),
  }
}

test('a root key in another process signs bundles and its own successor, and none of it comes into the Secret', async () => {
  const rootKeys = otherProcess()
  const store = memoryStore()
  const now = Date.now()
  const identity = ownerIdentity()
  const { keys } = await advanceKeys(identity, await store.read(), { now, rootKeys, signal })
  const expected = { pinnedKey: keys.root.publicKey, now }
  expect(checkBundle(keys.bundle?.envelope ?? '', expected).ok).toBe(true)
  expect(keys.root).toEqual({ publicKey: keys.root.publicKey, handle: 'slot-1' })

  // The next root key may lie elsewhere.
  const next: RootKeys = {
    make: secretRootKeys.make,
    open: (root) => (root.handle ? rootKeys : secretRootKeys).open(root),
  }
  const ordered = ownerIdentity({ annotations: { 'hansa.dev/rotate-root': '1' } })
  const rotated = await advanceKeys(ordered, await store.read(), { now: now + 1000, rootKeys: next, signal })
  const verdict = checkBundle(rotated.keys.bundle?.envelope ?? '', { ...expected, now: now + 1000 })
  expect(verdict).toMatchObject({ ok: true, rootKeys: [keys.root.publicKey, rotated.keys.root.publicKey] })
})

test('while the device is away nothing changes, and the failure is seen', async () => {
  const rootKeys = otherProcess()
  const store = memoryStore()
  const now = Date.now()
  await advanceKeys(ownerIdentity(), await store.read(), { now, rootKeys, signal })
  const before = store.text('main')
  await rootKeys.end()
  const later = { now: now + 6 * 86_400_000, rootKeys, signal }
  await expect(advanceKeys(ownerIdentity(), await store.read(), later)).rejects.toThrow('the device is away')
  expect(store.text('main')).toBe(before)
})
