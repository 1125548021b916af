import type { KubeClient } from './kube-client.ts'
import { namespaceOf, type Pod } from './kube-types.ts'

export interface ServiceAccountToken {
  readonly token: string
  /** When to ask for the next one, in milliseconds since the epoch: at 80 % of its life, as a kubelet does. */
  readonly renewAt: number
}

interface TokenRequest {
  readonly status: { readonly token: string; readonly expirationTimestamp: string }
}

/** Asks for a token bound to a pod. */
export async function requestToken(
  client: KubeClient,
  pod: Pod,
  options: { readonly audience?: string | undefined; readonly expirationSeconds?: number | undefined },
): Promise<ServiceAccountToken> {
  const account = pod.spec.serviceAccountName ?? 'default'
  const asked = Date.now()
  const { status } = await client.request<TokenRequest>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespaceOf(pod)}/serviceaccounts/${account}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: options.audience === undefined ? [] : [options.audience],
        expirationSeconds: options.expirationSeconds ?? 3_600,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
      },
    },
  })
  const lifetime = Date.parse(status.expirationTimestamp) - asked
  return { token: status.token, renewAt: asked + lifetime * 0.8 }
}
