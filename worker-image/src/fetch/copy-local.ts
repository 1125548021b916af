import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { openContained } from '../model/contained-file.ts'
import { ModelRefused } from '../model/model-refused.ts'
import type { WantedFile } from './download.ts'
import { FetchError } from './fetch-error.ts'

const pieceBytes = 1 << 20

/**
 * Copies `path` below `root` to `part` and checks size and digest of what it copied. Throws `ModelRefused` for a wrong size or
 * digest and for links, FetchError `SourceNotFound`.
 */
export async function copyLocal(
  root: string,
  path: string,
  wanted: WantedFile,
  part: string,
  deps: { signal: AbortSignal; progress: (onDisk: number, received: number) => void },
): Promise<void> {
  const source = await openSourceFile(root, path, wanted.path)
  try {
    if (source.sizeBytes !== wanted.sizeBytes) {
      const message = `has ${source.sizeBytes} bytes, not ${wanted.sizeBytes}`
      throw new ModelRefused('SizeMismatch', message, { file: wanted.path })
    }
    const target = await open(part, 'w', 0o600)
    try {
      const hash = createHash('sha256')
      const buffer = Buffer.allocUnsafe(pieceBytes)
      let position = 0
      while (position < wanted.sizeBytes) {
        deps.signal.throwIfAborted()
        const length = Math.min(pieceBytes, wanted.sizeBytes - position)
        const { bytesRead } = await source.handle.read(buffer, 0, length, position)
        if (bytesRead === 0)
          throw new ModelRefused('SizeMismatch', 'became shorter while it was read', { file: wanted.path })
        const piece = buffer.subarray(0, bytesRead)
        hash.update(piece)
        await target.write(piece, 0, bytesRead, position)
        position += bytesRead
        deps.progress(position, bytesRead)
      }
      const digest = hash.digest('hex')
      if (digest !== wanted.sha256) {
        throw new ModelRefused('DigestMismatch', `has the SHA-256 ${digest}, not ${wanted.sha256}`, {
          file: wanted.path,
        })
      }
      await target.sync()
    } finally {
      await target.close()
    }
  } finally {
    await source.handle.close()
  }
}

async function openSourceFile(root: string, path: string, file: string) {
  try {
    return await openContained(root, path)
  } catch (error) {
    if (error instanceof ModelRefused) throw new ModelRefused(error.reason, error.message, { file })
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      throw new FetchError('SourceNotFound', 'the file is not there', {
        retry: 'after',
        afterSeconds: 300,
        cause: error,
      })
    }
    throw error
  }
}
