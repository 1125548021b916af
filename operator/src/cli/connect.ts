import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { KubeClient } from '../kube/client-types.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'

export type ConnectOptions = { readonly kubeconfig?: string; readonly context?: string }

/** Opens a client for one command; the caller closes it. */
export type Connect = (options: ConnectOptions) => Promise<KubeClient>

/** Connects by `--kubeconfig`, else the first existing file of `KUBECONFIG`, else `~/.kube/config`. */
export function connectByKubeconfig(env: { KUBECONFIG?: string | undefined; HOME?: string | undefined }): Connect {
  return async ({ kubeconfig, context }) => {
    const listed = kubeconfig !== undefined ? [kubeconfig] : (env.KUBECONFIG ?? '').split(':').filter((p) => p !== '')
    const candidates = listed.length > 0 ? listed : [join(env.HOME ?? '', '.kube/config')]
    const path = candidates.find((candidate) => existsSync(candidate))
    if (path === undefined) {
      throw new CliError(
        exitCodes.cluster,
        `there is no kubeconfig at ${candidates.join(', ')}`,
        'Name one with --kubeconfig or KUBECONFIG.',
      )
    }
    const [{ clusterFromKubeConfig }, { createClient }] = await Promise.all([
      import('../kube/kube-config.ts'),
      import('../kube/client.ts'),
    ])
    const cluster = await clusterFromKubeConfig({
      path,
      allowExec: true,
      ...(context === undefined ? {} : { context }),
    }).catch((cause: unknown) => {
      throw new CliError(exitCodes.cluster, `cannot use ${path}: ${cause instanceof Error ? cause.message : cause}`)
    })
    return createClient({ cluster, userAgent: 'kubectl-hansa' })
  }
}
