import type { KubeClient } from './kube-client.ts'
import { isStatus } from './kube-client.ts'
import type { ConfigMap, KubeObject, Secret } from './kube-types.ts'
import { runReflector } from './reflector.ts'

/** ConfigMaps and Secrets that the pods of this node use, each watched by itself as the Node authorizer demands. */
export interface ObjectCache {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>
  secret(namespace: string, name: string): Promise<Secret | undefined>
  /** Calls `listener` at each change of an object until the returned function is called. */
  subscribe(kind: 'configmaps' | 'secrets', namespace: string, name: string, listener: () => void): () => void
  close(): void
}

interface Watched {
  readonly listeners: Set<() => void>
  readonly controller: AbortController
}

/** Reads always ask the API server, so that a pod sees what was written before it; only the changes come from watches. */
export function createObjectCache(client: KubeClient, log: (line: string) => void): ObjectCache {
  const watched = new Map<string, Watched>()

  async function read<T extends KubeObject>(kind: string, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await client.request<T>({ path: `/api/v1/namespaces/${namespace}/${kind}/${name}` })
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  function watch(kind: string, namespace: string, name: string): Watched {
    const entry: Watched = { listeners: new Set(), controller: new AbortController() }
    const changed = () => {
      for (const listener of entry.listeners) listener()
    }
    void runReflector({
      client,
      path: `/api/v1/namespaces/${namespace}/${kind}`,
      fieldSelector: `metadata.name=${name}`,
      handlers: { replace: changed, upsert: changed, remove: changed },
      signal: entry.controller.signal,
      log,
    })
    return entry
  }

  return {
    configMap: (namespace, name) => read<ConfigMap>('configmaps', namespace, name),
    secret: (namespace, name) => read<Secret>('secrets', namespace, name),
    subscribe(kind, namespace, name, listener) {
      const key = `${kind}/${namespace}/${name}`
      const entry = watched.get(key) ?? watch(kind, namespace, name)
      watched.set(key, entry)
      entry.listeners.add(listener)
      return () => {
        entry.listeners.delete(listener)
        if (entry.listeners.size > 0 || watched.get(key) !== entry) return
        watched.delete(key)
        entry.controller.abort()
      }
    },
    close() {
      for (const entry of watched.values()) entry.controller.abort()
      watched.clear()
    },
  }
}
