import { type ChildProcess, spawn } from 'node:child_process'

/**
 * A process that cannot outlive this one, not even when this one is killed with SIGKILL.
 *
 * Linux can do that with prctl, which Node does not offer. Instead a shell leaves a watcher behind that reads a pipe to us,
 * and then becomes the command itself, so that the pid is the command's own. When we die the kernel closes the pipe and
 * the watcher kills the whole process group; when the command ends first we tell the watcher so, lest it kill a stranger
 * that got the pid meanwhile.
 */
export interface TetheredProcess {
  readonly pid: number
  readonly child: ChildProcess
  /** Resolves when the process has ended; rejects when it could not be started at all. */
  readonly exited: Promise<Exit>
  /** How it ended, once it has. */
  readonly exit: Exit | undefined
  /** Sends a signal to the process alone; false if it has ended already. */
  signal(name: NodeJS.Signals): boolean
  /** SIGKILL to the process and all that it started and that is still in its process group. */
  killGroup(): void
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface TetherOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Where standard output and error go: a file descriptor, 'pipe' or 'ignore'. */
  readonly stdout?: number | 'pipe' | 'ignore'
  readonly stderr?: number | 'pipe' | 'ignore'
  readonly stdin?: 'pipe' | 'ignore'
}

const untilParentDies = '( read -r _ <&3 || kill -s KILL -- -$$ ) & exec 3<&-; exec "$@"'

/** Starts a command in a session of its own (so that Ctrl-C reaches only us), tied to the life of this process. */
export function startTethered(options: TetherOptions): TetheredProcess {
  const child = spawn('/bin/sh', ['-c', untilParentDies, options.command, options.command, ...options.args], {
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'ignore', options.stderr ?? 'ignore', 'pipe'],
    detached: true,
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  let exit: Exit | undefined
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      exit = { code, signal }
      release(child)
      resolve(exit)
    })
  })
  // Callers that only signal need not listen.
  exited.catch(() => undefined)
  return {
    pid: child.pid ?? -1,
    child,
    exited,
    get exit() {
      return exit
    },
    signal: (name) => exit === undefined && child.kill(name),
    killGroup() {
      if (exit === undefined && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    },
  }
}

/** Removes a folder if this process dies before it called the returned function, which calls that off. */
export function removeFolderOnDeath(folder: string): () => void {
  // The processes that write there need a moment to be killed first.
  const script = 'read -r _ <&3 || { sleep 1; rm -rf -- "$1"; sleep 1; rm -rf -- "$1"; }'
  const child = spawn('/bin/sh', ['-c', script, 'hansa-janitor', folder], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
  })
  tether(child).on('error', () => undefined)
  child.unref()
  return () => release(child)
}

function tether(child: ChildProcess): NodeJS.WritableStream {
  // The fourth entry of stdio above is a pipe, hence a duplex stream.
  return child.stdio[3] as unknown as NodeJS.WritableStream
}

function release(child: ChildProcess): void {
  const stream = tether(child)
  // The watcher may be gone already, killed with its group.
  stream.on('error', () => undefined)
  stream.end('done\n')
}
