import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Cluster } from '../cluster.ts'
import { repository } from './images.ts'

export type CliOptions = {
  /** Written to its standard input. */
  input?: string
  timeoutSeconds?: number
}

export type CliResult = { code: number; stdout: string; stderr: string }

/** Runs `kubectl hansa` of this checkout as a cluster's administrator. */
export function runHansa(
  cluster: Pick<Cluster, 'kubeconfigPath'>,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const cli = join(repository, 'operator/src/cli/main.ts')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], {
      env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: (options.timeoutSeconds ?? 60) * 1000,
    })
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', (data) => {
      output.stdout += data
    })
    child.stderr.on('data', (data) => {
      output.stderr += data
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? -1, ...output }))
    child.stdin.on('error', () => undefined) // it need not read what it is given
    child.stdin.end(options.input ?? '')
  })
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
