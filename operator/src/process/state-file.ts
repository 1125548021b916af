import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { HansaError } from './errors.ts'

const defaultMaxBytes = 64 * 1024 * 1024

/**
 * Replaces a file as a whole: a reader, also one after a crash or a power cut, sees the old text or the new one. Mode 0600; the
 * folder is made (0700) when missing.
 */
export async function writeStateFile(path: string, text: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/** The text of a state file; undefined when there is none. Throws StateFileTooLarge beyond `maxBytes` (default 64 MiB). */
export async function readStateFile(path: string, options: { maxBytes?: number } = {}): Promise<string | undefined> {
  const maxBytes = options.maxBytes ?? defaultMaxBytes
  try {
    const { size } = await stat(path)
    if (size > maxBytes) {
      throw new HansaError('StateFileTooLarge', `${path} has ${size} bytes, more than ${maxBytes}`, { retry: 'never' })
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

// The new name itself is only safe once its folder is on disk (fsync(2)).
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
