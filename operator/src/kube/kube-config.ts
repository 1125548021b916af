import type { ClusterAccess } from './cluster-access.ts'

/** Reads a kubeconfig file. `allowExec`: whether it may start programs to get credentials; only for the user's own. */
export async function clusterFromKubeConfig(options: {
  path: string
  context?: string
  allowExec?: boolean
}): Promise<ClusterAccess> {
  void options
  throw new Error('not written yet')
}
