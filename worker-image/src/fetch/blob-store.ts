import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FetchError } from './fetch-error.ts'

const sha256Name = /^[0-9a-f]{64}$/

/** Files by SHA-256 under `<root>/sha256/`, unfinished ones under `<root>/parts/<owner>/`, all within `maxBytes`. */
export class BlobStore {
  readonly #root: string
  readonly #maxBytes: number
  readonly #sizes = new Map<string, number>()
  readonly #reserved = new Map<string, number>()
  /** What a blob looked like when its digest was last computed. */
  readonly #verified = new Map<string, string>()

  private constructor(root: string, maxBytes: number) {
    this.#root = root
    this.#maxBytes = maxBytes
  }

  static async open(root: string, maxBytes: number): Promise<BlobStore> {
    const store = new BlobStore(root, maxBytes)
    await mkdir(join(root, 'sha256'), { recursive: true, mode: 0o700 })
    await mkdir(join(root, 'parts'), { recursive: true, mode: 0o700 })
    for (const name of await readdir(join(root, 'sha256'))) {
      if (sha256Name.test(name)) store.#sizes.set(name, (await stat(store.#path(name))).size)
      else await rm(join(root, 'sha256', name), { recursive: true, force: true })
    }
    return store
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  /** Bytes of finished blobs and of room promised to unfinished ones. */
  get usedBytes(): number {
    let sum = 0
    for (const size of this.#sizes.values()) sum += size
    for (const size of this.#reserved.values()) sum += size
    return sum
  }

  /** Digests of finished blobs. */
  list(): string[] {
    return [...this.#sizes.keys()]
  }

  has(sha256: string): boolean {
    return this.#sizes.has(sha256)
  }

  size(sha256: string): number | undefined {
    return this.#sizes.get(sha256)
  }

  /** The path of an unfinished file with room for `sizeBytes`; throws FetchError `StorageFull`. Asking again is free. */
  async reserve(owner: string, sha256: string, sizeBytes: number): Promise<string> {
    const key = `${owner}/${sha256}`
    if (!this.#reserved.has(key)) {
      if (this.usedBytes + sizeBytes > this.#maxBytes) {
        throw new FetchError(
          'StorageFull',
          `${sizeBytes} bytes do not fit: ${this.usedBytes} of ${this.#maxBytes} are used`,
        )
      }
      this.#reserved.set(key, sizeBytes)
    }
    const path = join(this.#root, 'parts', key)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return path
  }

  /** Makes the unfinished file, whose digest the caller has computed, a blob. */
  async adopt(owner: string, sha256: string): Promise<void> {
    const key = `${owner}/${sha256}`
    const part = join(this.#root, 'parts', key)
    const { size } = await stat(part)
    await chmod(part, 0o400)
    await rename(part, this.#path(sha256))
    await syncFolder(join(this.#root, 'sha256'))
    this.#reserved.delete(key)
    this.#sizes.set(sha256, size)
    this.#verified.set(sha256, await this.#fingerprint(sha256))
  }

  /** Drops one unfinished file. */
  async discard(owner: string, sha256: string): Promise<void> {
    const key = `${owner}/${sha256}`
    await rm(join(this.#root, 'parts', key), { force: true })
    await rm(join(this.#root, 'parts', `${key}.json`), { force: true })
    this.#reserved.delete(key)
  }

  /** Drops every unfinished file of an owner. */
  async discardAll(owner: string): Promise<void> {
    await rm(join(this.#root, 'parts', owner), { recursive: true, force: true })
    for (const key of [...this.#reserved.keys()]) if (key.startsWith(`${owner}/`)) this.#reserved.delete(key)
  }

  /** Removes blobs that `named` does not hold and unfinished files of owners that `owners` does not hold. */
  async collect(named: ReadonlySet<string>, owners: ReadonlySet<string>): Promise<number> {
    let removed = 0
    for (const sha256 of [...this.#sizes.keys()]) {
      if (named.has(sha256)) continue
      await this.remove(sha256)
      removed += 1
    }
    for (const owner of await readdir(join(this.#root, 'parts'))) if (!owners.has(owner)) await this.discardAll(owner)
    return removed
  }

  async remove(sha256: string): Promise<void> {
    this.#sizes.delete(sha256)
    this.#verified.delete(sha256)
    await rm(this.#path(sha256), { force: true })
  }

  async open(sha256: string): Promise<{ handle: FileHandle; sizeBytes: number }> {
    const handle = await open(this.#path(sha256), constants.O_RDONLY | constants.O_NOFOLLOW)
    return { handle, sizeBytes: (await handle.stat()).size }
  }

  /** Whether the bytes on disk still have their digest; reads them only when the file was touched since it was last sure. */
  async intact(sha256: string, signal: AbortSignal): Promise<boolean> {
    try {
      const before = await this.#fingerprint(sha256)
      if (this.#verified.get(sha256) === before) return true
      const { handle } = await this.open(sha256)
      const hash = createHash('sha256')
      try {
        for await (const chunk of handle.createReadStream({ signal, highWaterMark: 1 << 20, autoClose: false }))
          hash.update(chunk)
      } finally {
        await handle.close()
      }
      if (hash.digest('hex') !== sha256 || before !== (await this.#fingerprint(sha256))) return false
      this.#verified.set(sha256, before)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
      throw error
    }
  }

  #path(sha256: string): string {
    if (!sha256Name.test(sha256)) throw new Error('not a SHA-256 in hex')
    return join(this.#root, 'sha256', sha256)
  }

  async #fingerprint(sha256: string): Promise<string> {
    const { ino, size, mtimeNs, ctimeNs } = await stat(this.#path(sha256), { bigint: true })
    return `${ino}:${size}:${mtimeNs}:${ctimeNs}`
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
