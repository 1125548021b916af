import type { Reviewed } from '../identity/endpoint.ts'
import { tokenReviews } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'

const podNameKey = 'authentication.kubernetes.io/pod-name'

/** Asks the API server whose token it is (TokenReview); undefined when it is no service account's, or not for this audience. */
export async function reviewToken(
  client: KubeClient,
  token: string,
  audience: string,
  signal: AbortSignal,
): Promise<Reviewed | undefined> {
  const { status } = await client.create(
    tokenReviews,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: { name: '' },
      spec: { token, audiences: [audience] },
    },
    { signal },
  )
  if (status?.authenticated !== true || status.audiences?.includes(audience) !== true) return undefined
  const [system, kind, namespace, serviceAccount, ...rest] = status.user?.username?.split(':') ?? []
  if (system !== 'system' || kind !== 'serviceaccount' || rest.length > 0) return undefined
  if (namespace === undefined || serviceAccount === undefined) return undefined
  const podName = status.user?.extra?.[podNameKey]?.[0]
  return { namespace, serviceAccount, ...(podName !== undefined && { podName }) }
}
