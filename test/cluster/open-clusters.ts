import type { Cluster } from './cluster.ts'
import { existingContexts, useExistingCluster } from './existing-cluster.ts'
import { startOwner } from './owner.ts'

/** One cluster for each name: the user's own as far as HANSA_KUBE_CONTEXTS names any, and control planes of ours beyond. */
export function openClusters(names: readonly string[], log?: (line: string) => void): Promise<Cluster[]> {
  const contexts = existingContexts()
  return Promise.all(
    names.map((name, index) => {
      const context = contexts[index]
      return context ? useExistingCluster(context) : startOwner({ name, ...(log ? { log } : {}) })
    }),
  )
}
