import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../kube/clock.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { readStateFile, writeStateFile } from '../../process/state-file.ts'
import { frameOf } from './frame.ts'
import { readRecords, readSegments, type Segment, segmentBytes, segmentPath } from './segment.ts'

/**
 * Each opening begins its own block of positions: what a crash of the machine took from the end of a file may have been sent, and its
 * positions must not be used again.
 */
const blockPositions = 2 ** 32
/** Requests that were under way when the spool got full still write what they did. */
const reserveBytes = 16 * 1024 * 1024
const syncMilliseconds = 1000

export type SpoolOptions = {
  folder: string
  /** Beyond so many bytes the spool is full. */
  maxBytes: number
  log: Logger
  clock?: Clock
}

/** Records in files, in the order in which they were written, each with a position that only grows. */
export type Spool = {
  /** Names this spool for good; another folder is another spool. */
  readonly id: string
  /** Position of the next record. */
  readonly next: number
  /** Records before this position are removed, since the ledger has them. */
  readonly released: number
  readonly bytes: number
  isFull(): boolean
  /** Resolves when the record is with the operating system. */
  append(record: Uint8Array): Promise<void>
  /** Whole records from a position on, within the limits; `first` is larger than asked for where records were removed or lost. */
  read(from: number, limits: { records: number; bytes: number }): Promise<{ first: number; records: Buffer[] }>
  /** Removes the files all of whose records come before `position`. */
  release(position: number): Promise<void>
  onAppended(listener: () => void): void
  close(): Promise<void>
}

type Waiting = { frame: Buffer; done: () => void; failed: (error: unknown) => void }

/** Opens the spool of a folder, which is made when missing. What a crash left half written is cut off and logged. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { folder, maxBytes, log, clock = systemClock } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const id = await idOf(folder)
  const { segments, cut } = await readSegments(folder)
  for (const { path, bytes, isLast } of cut) {
    if (isLast) log.warn({ path, bytes }, 'cut off the end of a spool file, which was half written')
    else log.error({ path, bytes }, 'a spool file was damaged in the middle; what follows in it is lost')
  }
  const last = segments.at(-1)
  let next = last === undefined ? 0 : (Math.floor(last.first / blockPositions) + 1) * blockPositions
  let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
  let active: { file: FileHandle; segment: Segment } | undefined
  let queue: Waiting[] = []
  let writing: Promise<void> | undefined
  let dirty = false
  let closed = false
  const listeners = new Set<() => void>()
  /** Where the reader stands, so that it need not search again. */
  let cursor = { path: '', position: 0, offset: 0 }
  let cancelSync = clock.after(syncMilliseconds, tick)

  function tick(): void {
    cancelSync = clock.after(syncMilliseconds, tick)
    void sync()
  }

  async function sync(): Promise<void> {
    if (!dirty || active === undefined) return
    dirty = false
    await active.file.datasync().catch((error: unknown) => {
      dirty = true
      log.error({ error: messageOf(error) }, 'the spool of receipts cannot be synced to disk')
    })
  }

  async function segmentToWrite(): Promise<{ file: FileHandle; segment: Segment }> {
    if (active !== undefined && active.segment.bytes < segmentBytes) return active
    await closeActive()
    const path = segmentPath(folder, next)
    // A file of that name can only be one whose first write failed.
    const file = await open(path, 'w', 0o600)
    if (segments.at(-1)?.path === path) segments.pop()
    const segment = { path, first: next, records: 0, bytes: 0 }
    segments.push(segment)
    active = { file, segment }
    return active
  }

  async function closeActive(): Promise<void> {
    if (active === undefined) return
    const { file } = active
    await sync()
    active = undefined
    await file.close()
  }

  /** All that came while the last write was under way goes out in one. */
  async function write(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue
      queue = []
      try {
        const { file, segment } = await segmentToWrite()
        const joined = Buffer.concat(batch.map(({ frame }) => frame))
        await writeAll(file, joined, segment.bytes)
        segment.bytes += joined.length
        segment.records += batch.length
        bytes += joined.length
        next += batch.length
        dirty = true
        for (const { done } of batch) done()
        for (const listener of listeners) listener()
      } catch (error) {
        log.error({ error: messageOf(error) }, 'a record cannot be written to the spool of receipts')
        // What was written in part is cut off by whoever reads the file; the next record begins another one.
        await active?.file.truncate(active.segment.bytes).catch(() => undefined)
        await active?.file.close().catch(() => undefined)
        active = undefined
        for (const { failed } of batch) failed(error)
      }
    }
    writing = undefined
  }

  return {
    id,
    get next() {
      return next
    },
    get released() {
      return segments[0]?.first ?? next
    },
    get bytes() {
      return bytes
    },
    isFull: () => bytes >= maxBytes,
    append(record) {
      if (closed) return Promise.reject(new HansaError('SpoolClosed', 'the spool of receipts is closed'))
      if (bytes >= maxBytes + reserveBytes) {
        return Promise.reject(new HansaError('SpoolFull', `the spool of receipts has ${bytes} bytes and takes no more`))
      }
      const frame = frameOf(record)
      return new Promise((done, failed) => {
        queue.push({ frame, done, failed })
        writing ??= write()
      })
    },
    async read(from, limits) {
      const segment = segments.find(({ first, records }) => first + records > from)
      if (segment === undefined) return { first: next, records: [] }
      const wanted = Math.max(from, segment.first)
      let { position, offset } = cursor.path === segment.path ? cursor : { position: segment.first, offset: 0 }
      if (position > wanted) {
        position = segment.first
        offset = 0
      }
      // A buffer for what is there, not for the most that could be: this is asked for many times a second.
      const upTo = () => Math.min(limits.bytes, segment.bytes - offset)
      while (position < wanted) {
        const skipped = await readRecords(segment.path, offset, { bytes: upTo(), records: wanted - position })
        if (skipped.records.length === 0) break
        position += skipped.records.length
        offset += skipped.bytes
      }
      const most = Math.min(limits.records, segment.first + segment.records - position)
      const { records, bytes: read } = await readRecords(segment.path, offset, { bytes: upTo(), records: most })
      cursor = { path: segment.path, position: position + records.length, offset: offset + read }
      return { first: position, records }
    },
    async release(position) {
      for (const segment of [...segments]) {
        // The last one stays: its name says which positions were used.
        if (segment.first + segment.records > position || segment === segments.at(-1)) continue
        segments.splice(segments.indexOf(segment), 1)
        bytes -= segment.bytes
        await rm(segment.path, { force: true })
      }
    },
    onAppended: (listener) => listeners.add(listener),
    async close() {
      closed = true
      cancelSync()
      await writing
      await closeActive()
    },
  }
}

async function idOf(folder: string): Promise<string> {
  const path = join(folder, 'id')
  const known = (await readStateFile(path, { maxBytes: 64 }))?.trim()
  if (known !== undefined && /^[0-9a-f]{32}$/.test(known)) return known
  const made = randomBytes(16).toString('hex')
  await writeStateFile(path, made)
  return made
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
