import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { type Clock, systemClock } from './clock.ts'
import type { ClusterAccess, ClusterTls } from './cluster-access.ts'

// The kubelet replaces a token at 80 % of its life, which is at least 10 minutes.
const rereadMilliseconds = 60_000

/**
 * The API server as a pod sees it. `serviceAccountDir` holds `token`, `ca.crt` and `namespace`; token and authority are read
 * again every minute, because both are replaced while the pod runs.
 */
export async function clusterFromPod(options: {
  readonly serviceAccountDir: string
  /** `KUBERNETES_SERVICE_HOST` */
  readonly host: string
  /** `KUBERNETES_SERVICE_PORT` */
  readonly port: string
  readonly name?: string
  readonly clock?: Clock
}): Promise<ClusterAccess> {
  const { serviceAccountDir, host, port, clock = systemClock } = options
  const read = async (file: string) => (await readFile(join(serviceAccountDir, file), 'utf8')).trim()
  const load = async () => ({ token: await read('token'), ca: await read('ca.crt'), readAt: clock.monotonic() })

  const namespace = await read('namespace')
  let current = await load()
  let tls: ClusterTls = { ca: current.ca }
  let loading: Promise<void> | undefined

  async function reload(): Promise<void> {
    const next = await load()
    if (next.ca !== current.ca) tls = { ca: next.ca }
    current = next
  }

  return {
    name: options.name ?? 'local',
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace,
    tls: () => tls,
    async headers(fresh) {
      if (fresh || clock.monotonic() - current.readAt >= rereadMilliseconds) {
        loading ??= reload().finally(() => {
          loading = undefined
        })
        await loading
      }
      return { authorization: `Bearer ${current.token}` }
    },
  }
}
