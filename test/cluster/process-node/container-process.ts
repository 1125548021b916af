import { closeSync, constants, openSync } from 'node:fs'
import { access, stat, truncate } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { HansaError } from '@hansa/operator/process/errors.ts'
import { startTethered } from '../tethered-process.ts'
import { killGroup } from './leftovers.ts'

export interface ProcessOptions {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Where stdout and stderr go; default: nowhere. */
  readonly logPath?: string
}

/** A process and everything that it starts, as one group. */
export interface ContainerProcess {
  readonly pid: number
  /** The exit code, 128 + n after signal n. Nothing of its group lives any more by then. */
  readonly exited: Promise<number>
  signal(name: NodeJS.Signals): void
  /** SIGTERM to the first process, and SIGKILL to the whole group after the grace period. */
  terminate(graceSeconds: number): Promise<void>
}

/** The command could not be run at all. */
export class StartError extends HansaError {
  constructor(message: string) {
    super('StartError', message)
  }
}

const longestLogBytes = 16 * 1024 * 1024
const logCheckMilliseconds = 5_000
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
}

/** Starts a process that dies with this one; throws `StartError` where there is no such command. */
export async function startProcess(options: ProcessOptions): Promise<ContainerProcess> {
  const [name = '', ...args] = options.command
  const command = await findExecutable(name, options.env.PATH ?? '')
  const log = options.logPath === undefined ? undefined : openSync(options.logPath, 'a', 0o600)
  try {
    const process = startTethered({
      command,
      args,
      env: { ...options.env },
      cwd: options.cwd,
      stdout: log ?? 'ignore',
      stderr: log ?? 'ignore',
    })
    const exited = process.exited.then(
      ({ code, signal }) => {
        killGroup(process.pid)
        return signal === null ? (code ?? 255) : 128 + (signalNumbers[signal] ?? 0)
      },
      () => 128,
    )
    if (options.logPath !== undefined) boundLog(options.logPath, exited)
    return {
      pid: process.pid,
      exited,
      signal: (signal) => void process.signal(signal),
      async terminate(graceSeconds) {
        process.signal('SIGTERM')
        const grace = new AbortController()
        const late = sleep(graceSeconds * 1_000, undefined, { signal: grace.signal }).then(
          () => process.exit ?? killGroup(process.pid),
          () => undefined,
        )
        await exited
        grace.abort()
        await late
      },
    }
  } finally {
    if (log !== undefined) closeSync(log)
  }
}

async function findExecutable(name: string, path: string): Promise<string> {
  const candidates = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder, name))
  for (const candidate of candidates) {
    const runs = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs && (await stat(candidate)).isFile()) return candidate
  }
  throw new StartError(`exec: "${name}": executable file not found${name.includes('/') ? '' : ' in $PATH'}`)
}

/** Empties a log that has grown too long: the process appends, so it goes on at the beginning. */
function boundLog(path: string, exited: Promise<number>): void {
  const timer = setInterval(async () => {
    const size = (await stat(path).catch(() => undefined))?.size ?? 0
    if (size > longestLogBytes) await truncate(path).catch(() => undefined)
  }, logCheckMilliseconds).unref()
  void exited.then(() => clearInterval(timer))
}
