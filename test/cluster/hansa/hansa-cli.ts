import { connectByKubeconfig } from '@hansa/operator/cli/connect.ts'
import { memoryIo } from '@hansa/operator/cli/memory-io.ts'
import { runProgram } from '@hansa/operator/cli/run-program.ts'
import type { Cluster } from '../cluster.ts'

export type CliOptions = {
  /** What the admin types when asked. */
  input?: string
}

export type CliResult = { code: number; stdout: string; stderr: string }

/**
 * Runs a command line of `kubectl hansa` as a cluster's administrator, within this process: the program is the same, and a Node less to
 * start for each of many.
 */
export async function runHansa(
  { kubeconfigPath }: Pick<Cluster, 'kubeconfigPath'>,
  args: readonly string[],
  { input }: CliOptions = {},
): Promise<CliResult> {
  const io = memoryIo({ now: Date.now })
  const code = await runProgram(args, {
    io,
    connect: connectByKubeconfig({ KUBECONFIG: kubeconfigPath }),
    ask: async () => input?.split('\n')[0],
    version: 'test',
    signal: AbortSignal.timeout(120_000),
  })
  return { code, stdout: io.output(), stderr: io.errors() }
}

/** What it prints; throws what it complains of. */
export async function hansa(
  cluster: Pick<Cluster, 'kubeconfigPath'>,
  args: readonly string[],
  options: CliOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await runHansa(cluster, args, options)
  if (code !== 0) throw new Error(`kubectl hansa ${args.join(' ')} exits ${code}: ${stderr || stdout}`)
  return stdout.trim()
}
