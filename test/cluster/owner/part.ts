import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Exit, startTethered, type TetheredProcess } from '../tethered-process.ts'

/** One process of a control plane, which a test may stop, kill, pause and start again with the same ports and data. */
export interface Part {
  readonly name: string
  readonly logPath: string
  /** Undefined while it is not running. */
  readonly pid: number | undefined
  readonly running: boolean
  /** Starts it where it is not running, and waits until it is ready. */
  start(): Promise<void>
  /** SIGTERM, and SIGKILL to what is still there after the grace period. */
  stop(graceMilliseconds?: number): Promise<void>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void
  resume(): void
  /** Stops it where it is running, starts it and waits until it is ready. */
  restart(): Promise<void>
}

export interface PartOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly logPath: string
  readonly isReady: () => Promise<boolean>
  readonly readyDeadlineMilliseconds?: number
  /** Told when it ends though nobody asked it to. */
  readonly onLoss?: (how: string) => void
  /** How long `stop` waits by default before SIGKILL. */
  readonly graceMilliseconds?: number
}

const pollMilliseconds = 50

/** Describes a part; nothing runs until `start`. */
export function definePart(options: PartOptions): Part {
  let process: TetheredProcess | undefined
  let asked = false
  const live = () => (process?.exit === undefined ? process : undefined)

  async function stop(graceMilliseconds = options.graceMilliseconds ?? 10_000): Promise<void> {
    const running = live()
    if (!running) return
    asked = true
    running.signal('SIGCONT') // a paused process would not see the SIGTERM
    running.signal('SIGTERM')
    const deadline = new AbortController()
    const timer = sleep(graceMilliseconds, undefined, { signal: deadline.signal }).then(
      () => running.signal('SIGKILL'),
      () => false,
    )
    await running.exited
    deadline.abort()
    await timer
  }

  function launchWatched(): TetheredProcess {
    const launched = launch(options)
    asked = false
    launched.exited.then(
      (exit) => asked || options.onLoss?.(describeExit(exit)),
      () => undefined, // `start` finds out
    )
    return launched
  }

  async function start(): Promise<void> {
    const started = live() ?? launchWatched()
    process = started
    const deadline = Date.now() + (options.readyDeadlineMilliseconds ?? 180_000)
    while (!(await options.isReady())) {
      if (started.exit) throw await failure(options, `ended with ${describeExit(started.exit)} before it was ready`)
      if (Date.now() > deadline) throw await failure(options, 'is not ready in time')
      await sleep(pollMilliseconds)
    }
  }

  return {
    name: options.name,
    logPath: options.logPath,
    get pid() {
      return live()?.pid
    },
    get running() {
      return live() !== undefined
    },
    start,
    stop,
    async kill() {
      const running = live()
      asked = true
      running?.signal('SIGKILL')
      await running?.exited
    },
    pause() {
      live()?.signal('SIGSTOP')
    },
    resume() {
      live()?.signal('SIGCONT')
    },
    async restart() {
      await stop()
      await start()
    },
  }
}

function launch(options: PartOptions): TetheredProcess {
  const log = openSync(options.logPath, 'a')
  try {
    return startTethered({ command: options.command, args: options.args, stdout: log, stderr: log })
  } finally {
    closeSync(log)
  }
}

async function failure(options: PartOptions, what: string): Promise<Error> {
  return new Error(`${options.name} ${what}; the end of ${options.logPath}:\n${await tail(options.logPath)}`)
}

async function tail(path: string, bytes = 3_000): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, bytes)
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('utf8')
  } finally {
    await file.close()
  }
}

function describeExit(exit: Exit): string {
  return exit.signal ?? `code ${exit.code}`
}
