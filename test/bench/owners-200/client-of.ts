import { createClient } from '@hansa/operator/kube/client.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { clientFor } from '../../integration/kube/harness.ts'

/** Where an API server is: a kubeconfig for a real one, a URL for a simulated one. */
export type Api = { kubeconfig: string } | { url: string }

const limits = { requestsPerSecond: 100_000, burst: 100_000 }

/** A client without a limit of its own. */
export async function clientOf(api: Api, userAgent: string): Promise<KubeClient> {
  if ('kubeconfig' in api) return clientFor(api.kubeconfig, userAgent, limits)
  const cluster = {
    name: 'simulated',
    server: api.url,
    namespace: undefined,
    tls: () => ({}),
    headers: async () => ({}),
  }
  return createClient({ cluster, userAgent, limits })
}
