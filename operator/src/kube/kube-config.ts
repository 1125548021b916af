import { HansaError } from '../process/errors.ts'
import { type Clock, systemClock } from './clock.ts'
import type { ClusterAccess, ClusterTls } from './cluster-access.ts'

const credentialsMilliseconds = 30_000

/**
 * Reads one context of a kubeconfig file. A kubeconfig may name a program that makes credentials; it is started only with
 * `allowExec`, which is for files of the user's own.
 */
export async function clusterFromKubeConfig(options: {
  readonly path: string
  /** Default: the file's current context. */
  readonly context?: string
  readonly allowExec?: boolean
  readonly clock?: Clock
}): Promise<ClusterAccess> {
  // Importing the package takes a second and 100 MB; processes inside a cluster do without it.
  const { KubeConfig } = await import('@kubernetes/client-node')
  const clock = options.clock ?? systemClock
  const config = new KubeConfig()
  config.loadFromFile(options.path)
  if (options.context !== undefined) config.setCurrentContext(options.context)
  const cluster = config.getCurrentCluster()
  const user = config.getCurrentUser()
  if (!cluster || !user) {
    throw new HansaError('KubeConfigInvalid', `${options.path} has no usable context "${config.currentContext}"`, {
      retry: 'never',
      hint: 'Name a context that has a cluster and a user.',
    })
  }
  if ((user.exec || user.authProvider) && options.allowExec !== true) {
    throw new HansaError('KubeConfigExecRefused', `${options.path} asks to start a program to get credentials`, {
      retry: 'never',
      hint: 'Use a kubeconfig with a token or a client certificate.',
    })
  }

  async function load() {
    // The type of https.request's options is the narrowest that the package takes here.
    const applied: Parameters<typeof config.applyToHTTPSOptions>[0] & { headers?: Record<string, string> } = {}
    await config.applyToHTTPSOptions(applied)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(applied.headers ?? {})) headers[name.toLowerCase()] = String(value)
    if (typeof applied.auth === 'string')
      headers.authorization = `Basic ${Buffer.from(applied.auth).toString('base64')}`
    const tls: ClusterTls = {
      ...(applied.ca ? { ca: applied.ca } : {}),
      ...(applied.cert ? { cert: applied.cert } : {}),
      ...(applied.key ? { key: applied.key } : {}),
      ...(applied.servername ? { servername: applied.servername } : {}),
      ...(applied.rejectUnauthorized === false ? { rejectUnauthorized: false } : {}),
    }
    return { headers, tls, readAt: clock.monotonic() }
  }

  let current = await load()
  let loading: Promise<void> | undefined
  const namespace = config.getContextObject(config.currentContext)?.namespace
  return {
    name: config.currentContext,
    server: cluster.server,
    namespace,
    ...(cluster.proxyUrl ? { proxyUrl: cluster.proxyUrl } : {}),
    tls: () => current.tls,
    async headers(fresh) {
      if (fresh || clock.monotonic() - current.readAt >= credentialsMilliseconds) {
        loading ??= load()
          .then((next) => {
            const unchanged = JSON.stringify(next.tls) === JSON.stringify(current.tls)
            current = unchanged ? { ...next, tls: current.tls } : next
          })
          .finally(() => {
            loading = undefined
          })
        await loading
      }
      return current.headers
    },
  }
}
