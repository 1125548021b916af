import { crc32 } from 'node:zlib'

/** Longest record of a spool, in bytes. */
export const maxRecordBytes = 16_384

const headBytes = 8

/** A record as it lies in a segment: its length and CRC-32 (each four bytes, big endian), then its bytes. */
export function frameOf(record: Uint8Array): Buffer {
  if (record.length === 0 || record.length > maxRecordBytes) {
    throw new RangeError(`a record of a spool has ${record.length} bytes, not 1 to ${maxRecordBytes}`)
  }
  const frame = Buffer.allocUnsafe(headBytes + record.length)
  frame.writeUInt32BE(record.length, 0)
  frame.writeUInt32BE(crc32(record), 4)
  frame.set(record, headBytes)
  return frame
}

/** The whole records at the beginning of `bytes`, and how many bytes they take. What follows is cut off, or broken. */
export function readFrames(
  bytes: Buffer,
  limits: { records: number; bytes: number },
): { records: Buffer[]; bytes: number } {
  const records: Buffer[] = []
  let at = 0
  while (records.length < limits.records && at + headBytes <= bytes.length) {
    const length = bytes.readUInt32BE(at)
    const end = at + headBytes + length
    if (length === 0 || length > maxRecordBytes || end > bytes.length || end > limits.bytes) break
    const record = bytes.subarray(at + headBytes, end)
    if (crc32(record) !== bytes.readUInt32BE(at + 4)) break
    records.push(record)
    at = end
  }
  return { records, bytes: at }
}
