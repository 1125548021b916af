import { CommanderError } from 'commander'
import { KubeApiError } from '../kube/api-error.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { paint, plain } from './io.ts'
import { createProgram, type ProgramDeps } from './program.ts'

/** Runs one command line (without `node` and script) and returns its exit code; errors are written, never thrown. */
export async function runProgram(argv: readonly string[], deps: Omit<ProgramDeps, 'setExitCode'>): Promise<number> {
  let exitCode: number = exitCodes.ok
  const program = createProgram({
    ...deps,
    setExitCode: (code) => {
      exitCode = code
    },
  })
  try {
    if (argv.length === 0) program.outputHelp()
    else await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    if (deps.signal.aborted) return exitCodes.interrupted
    // Commander has written its own message, and ends help and version with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    deps.io.err(`${paint(deps.io, 'red', 'error:')} ${plain(messageOf(error))}\n`)
    const hint = hintOf(error)
    if (hint !== undefined) deps.io.err(`hint: ${plain(hint)}\n`)
    return exitCodeOf(error)
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode
  return error instanceof KubeApiError ? exitCodes.cluster : exitCodes.notReady
}

function hintOf(error: unknown): string | undefined {
  if (error instanceof HansaError && error.hint !== undefined) return error.hint
  if (!(error instanceof KubeApiError)) return undefined
  if (error.status === 404) return 'Is Hansa installed? kubectl hansa check'
  if (error.status === 401) return 'Log in again: your credentials are refused.'
  if (error.status === 403) return 'Ask the cluster admin for the right to do this.'
  return 'Is the cluster reachable? kubectl hansa check'
}
