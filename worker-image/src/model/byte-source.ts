import { readSync } from 'node:fs'

/** Bytes that are read by position; `read` returns fewer than asked only at the end. */
export type ByteSource = { readonly size: number; read(into: Uint8Array, position: number): number }

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(into, position) {
      const part = bytes.subarray(position, position + into.length)
      into.set(part)
      return part.length
    },
  }
}

/** An open file; synchronous, for the process that does nothing but the check. */
export function fileSource(fd: number, size: number): ByteSource {
  return { size, read: (into, position) => readSync(fd, into, 0, into.length, position) }
}
