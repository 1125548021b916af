import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

const pieceBytes = 1 << 20

/** A SHA-256 over the first `sizeBytes` of an open file, to go on from. */
export async function hashPrefix(handle: FileHandle, sizeBytes: number, signal: AbortSignal): Promise<Hash> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(pieceBytes)
  let position = 0
  while (position < sizeBytes) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, Math.min(pieceBytes, sizeBytes - position), position)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return hash
}
