import type { KubeObject } from '../api/resource.ts'
import { KubeApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Resource } from '../kube/resource.ts'

/** A list, or undefined where the caller may not read it: who may read the service need not be allowed to read its pods. */
export async function readable<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  options: { namespace?: string; labelSelector?: string; signal: AbortSignal },
): Promise<T[] | undefined> {
  try {
    return (await client.list(resource, options)).items
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403) return undefined
    throw error
  }
}
