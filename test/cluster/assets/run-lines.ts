import { createInterface } from 'node:readline'
import { startTethered } from '../tethered-process.ts'

export interface RunLinesOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Gets each line of standard error. */
  readonly onLine: (line: string) => void
  readonly signal?: AbortSignal
}

/** Runs a command that dies with us, and resolves with its exit code; rejects when it is aborted. */
export async function runLines({ signal, onLine, ...options }: RunLinesOptions): Promise<number> {
  signal?.throwIfAborted()
  const run = startTethered({ ...options, stderr: 'pipe' })
  signal?.addEventListener('abort', run.killGroup, { once: true })
  try {
    if (run.child.stderr) for await (const line of createInterface(run.child.stderr)) onLine(line)
    const exit = await run.exited
    signal?.throwIfAborted()
    return exit.code ?? 128
  } finally {
    signal?.removeEventListener('abort', run.killGroup)
  }
}
