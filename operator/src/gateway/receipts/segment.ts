import { open, readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { readFrames } from './frame.ts'

/** A file of a spool: its records have the positions from `first` on. */
export type Segment = { path: string; first: number; records: number; bytes: number }

export const segmentBytes = 4 * 1024 * 1024
const pattern = /^(\d{16})\.records$/

export function segmentPath(folder: string, first: number): string {
  return join(folder, `${String(first).padStart(16, '0')}.records`)
}

/**
 * Reads the segments of a folder, in order, and cuts off what a crash left half written. `cut` says of which files how many bytes
 * went: at the end of the newest one that is what nobody was promised; elsewhere it is damage.
 */
export async function readSegments(
  folder: string,
): Promise<{ segments: Segment[]; cut: { path: string; bytes: number; isLast: boolean }[] }> {
  const firsts = (await readdir(folder)).flatMap((name) => {
    const first = pattern.exec(name)?.[1]
    return first === undefined ? [] : [Number(first)]
  })
  firsts.sort((a, b) => a - b)
  const segments: Segment[] = []
  const cut: { path: string; bytes: number; isLast: boolean }[] = []
  for (const [i, first] of firsts.entries()) {
    const path = segmentPath(folder, first)
    const content = await readFile(path)
    // After a write that failed the next segment begins where the last good record ended.
    const most = (firsts[i + 1] ?? Number.POSITIVE_INFINITY) - first
    const whole = readFrames(content, { records: most, bytes: Number.POSITIVE_INFINITY })
    if (whole.bytes < content.length) {
      cut.push({ path, bytes: content.length - whole.bytes, isLast: i === firsts.length - 1 })
      await truncate(path, whole.bytes)
    }
    segments.push({ path, first, records: whole.records.length, bytes: whole.bytes })
  }
  return { segments, cut }
}

/** Records of a segment from a byte offset on, within the limits. */
export async function readRecords(
  path: string,
  offset: number,
  limits: { records: number; bytes: number },
): Promise<{ records: Buffer[]; bytes: number }> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(limits.bytes), 0, limits.bytes, offset)
    return readFrames(buffer.subarray(0, bytesRead), limits)
  } finally {
    await file.close()
  }
}
