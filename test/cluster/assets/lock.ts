import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface LockOptions {
  /** Called once, when somebody else holds the lock. */
  readonly onWait?: (holder: string) => void
  readonly pollMilliseconds?: number
  /** The holder touches the file more often than this; an older file is a dead holder's. */
  readonly staleMilliseconds?: number
  readonly signal?: AbortSignal
}

/** Runs `work` while holding a lock file, so that of several processes one works and the others wait. */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const staleMilliseconds = options.staleMilliseconds ?? 20_000
  const token = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() })
  await mkdir(dirname(path), { recursive: true })
  let waiting = false
  while (!(await tryCreate(path, token))) {
    options.signal?.throwIfAborted()
    const holder = await readHolder(path)
    if (holder !== undefined && (await isStale(path, holder, staleMilliseconds))) {
      await removeIfStill(path, holder)
      continue
    }
    if (!waiting && holder !== undefined) options.onWait?.(holder)
    waiting = true
    await sleep(options.pollMilliseconds ?? 250)
  }
  // Pids mean nothing across containers that share the folder; the file's age does.
  const heartbeat = setInterval(
    () => void utimes(path, new Date(), new Date()).catch(() => undefined),
    staleMilliseconds / 5,
  )
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    await removeIfStill(path, token)
  }
}

async function tryCreate(path: string, token: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(token)
    await file.close()
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

async function readHolder(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function isStale(path: string, holder: string, staleMilliseconds: number): Promise<boolean> {
  if (holderIsDead(holder)) return true
  try {
    return Date.now() - (await stat(path)).mtimeMs > staleMilliseconds
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw error
  }
}

function holderIsDead(holder: string): boolean {
  const match = /^\{"pid":(\d+),"host":"([^"]*)"/.exec(holder)
  if (!match || match[2] !== hostname()) return false
  try {
    process.kill(Number(match[1]), 0)
    return false
  } catch (error) {
    return isCode(error, 'ESRCH')
  }
}

/** Renaming first means that of two processes that see the same dead holder only one removes its file. */
async function removeIfStill(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    if ((await readHolder(path)) !== holder) return
    await rename(path, aside)
    // Somebody was quicker and holds the lock anew: give it back. At worst two processes do the same work.
    if ((await readHolder(aside)) !== holder) await rename(aside, path)
    else await rm(aside, { force: true })
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
