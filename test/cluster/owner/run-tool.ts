import { spawn } from 'node:child_process'

export interface ToolResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

export interface ToolOptions {
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly timeoutSeconds?: number
  readonly signal?: AbortSignal
}

/** Runs a command to its end; a failure is a code, not an exception. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: 'pipe',
      env: options.env ?? process.env,
      timeout: (options.timeoutSeconds ?? 300) * 1_000,
      killSignal: 'SIGKILL',
      ...(options.signal ? { signal: options.signal } : {}),
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    // Commands that do not read their input may close it early.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
        code: code ?? 128,
      }),
    )
  })
}
