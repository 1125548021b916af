import { readSync, writevSync } from 'node:fs'
import { framePrefix, maxHeaderBytes, prefixBytes } from './frame.ts'

/** Fills `into` from the pipe; false at the end of the stream. */
export function readFully(pipe: number, into: Uint8Array): boolean {
  let at = 0
  while (at < into.byteLength) {
    const count = readSync(pipe, into, at, into.byteLength - at, null)
    if (count === 0) return false
    at += count
  }
  return true
}

/** Reads a frame's header, parsed; undefined at the end of the stream. The payload is left in the pipe. */
export function readHeader(pipe: number): unknown {
  const prefix = Buffer.allocUnsafe(prefixBytes)
  if (!readFully(pipe, prefix)) return undefined
  const headerBytes = prefix.readUInt32LE(0)
  if (headerBytes > maxHeaderBytes) throw new RangeError('frame header too large')
  const header = Buffer.allocUnsafe(headerBytes)
  return readFully(pipe, header) ? JSON.parse(header.toString('utf8')) : undefined
}

/** Writes a frame; blocks until the pipe took it all. */
export function writeFrame(pipe: number, header: object, payload: readonly Uint8Array[] = []): void {
  const text = Buffer.from(JSON.stringify(header))
  const payloadBytes = payload.reduce((sum, piece) => sum + piece.byteLength, 0)
  let rest: Uint8Array[] = [framePrefix(text.byteLength, payloadBytes), text, ...payload]
  rest = rest.filter((piece) => piece.byteLength > 0)
  while (rest.length > 0) {
    let written = writevSync(pipe, rest)
    let whole = 0
    for (const piece of rest) {
      if (piece.byteLength > written) break
      written -= piece.byteLength
      whole++
    }
    rest = rest.slice(whole)
    const [first] = rest
    if (first !== undefined && written > 0) rest[0] = first.subarray(written)
  }
}
