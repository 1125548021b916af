import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerSpec } from './kube-types.ts'

/** Where the logs and termination messages of a container's runs lie. */
export interface ContainerFiles {
  readonly folder: string
  logPath(run: number): string
  terminationLogPath(run: number): string
  /** Makes room for a run: only the one before it is kept. */
  prepare(run: number): Promise<void>
  /** What a run had to say at its end, at most 4096 bytes; undefined where nothing. */
  terminationMessage(run: number, spec: ContainerSpec, exitCode: number): Promise<string | undefined>
}

const longestMessageBytes = 4_096
const longestLogTailBytes = 2_048
const longestLogTailLines = 80

/** Describes a container's folder; `prepare` makes it. */
export function containerFiles(folder: string): ContainerFiles {
  const logPath = (run: number) => join(folder, `${run}.log`)
  const terminationLogPath = (run: number) => join(folder, `${run}.termination`)
  return {
    folder,
    logPath,
    terminationLogPath,
    async prepare(run) {
      await mkdir(folder, { recursive: true })
      await Promise.all([logPath(run - 2), terminationLogPath(run - 2)].map((path) => rm(path, { force: true })))
    },
    async terminationMessage(run, spec, exitCode) {
      const message = await readTail(terminationLogPath(run), longestMessageBytes)
      if (message !== '') return message
      if (spec.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return undefined
      const tail = await readTail(logPath(run), longestLogTailBytes)
      return tail.trimEnd().split('\n').slice(-longestLogTailLines).join('\n') || undefined
    },
  }
}

async function readTail(path: string, bytes: number): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (!file) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, bytes)
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead).toString('utf8')
  } finally {
    await file.close()
  }
}
