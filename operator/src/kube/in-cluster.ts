import type { ClusterAccess } from './cluster-access.ts'

/** The API server as a pod sees it: `serviceAccountDir` holds token, ca.crt and namespace. */
export async function clusterFromPod(options: {
  serviceAccountDir: string
  /** KUBERNETES_SERVICE_HOST */
  host: string
  /** KUBERNETES_SERVICE_PORT */
  port: string
}): Promise<ClusterAccess> {
  void options
  throw new Error('not written yet')
}
