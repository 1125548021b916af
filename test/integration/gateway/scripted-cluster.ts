import type { AccessKey } from '@hansa/operator/api/access-key.ts'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import { KubeApiError } from '@hansa/operator/kube/api-error.ts'
import type { KubeClient, WatchEvent } from '@hansa/operator/kube/client-types.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import type { Live, Resource } from '@hansa/operator/kube/resource.ts'
import type { JWK } from 'jose'

export type ScriptedCluster = {
  client: KubeClient
  /** What the API server holds; replace the arrays and call `changed`. */
  services: InferenceService[]
  pods: Pod[]
  keys: AccessKey[]
  identities: OwnerIdentity[]
  peers: Peer[]
  remoteWorks: RemoteWork[]
  guestWorks: GuestWork[]
  jwks: JWK[]
  issuer: string
  /** While true every call fails, as with the API server down. */
  down: boolean
  /** Requests for token keys so far. */
  keyLoads: number
  changed(): void
}

/**
 * An API server reduced to what a gateway asks of it, in this process, for tests of everything behind it. The tests in
 * `real-cluster.test.ts` use a real one.
 */
export function scriptedCluster(): ScriptedCluster {
  const waiting = new Set<() => void>()
  let version = 1
  const cluster: ScriptedCluster = {
    services: [],
    pods: [],
    keys: [],
    identities: [],
    peers: [],
    remoteWorks: [],
    guestWorks: [],
    jwks: [],
    issuer: 'https://cluster.test',
    down: false,
    keyLoads: 0,
    changed: () => {
      version += 1
      for (const wake of [...waiting]) wake()
    },
    client: {
      cluster: 'scripted',
      namespace: 'hansa-system',
      list: async <T extends KubeObject>(resource: Resource<T>) => {
        refuseWhenDown()
        return { resourceVersion: `${version}`, items: items(resource) }
      },
      watch: <T extends KubeObject>(resource: Resource<T>, options: { signal: AbortSignal; resourceVersion: string }) =>
        watch(resource, options.signal, options.resourceVersion),
      raw: async (_method, path) => {
        refuseWhenDown()
        if (path === '/.well-known/openid-configuration') {
          return { issuer: cluster.issuer, jwks_uri: `${cluster.issuer}/openid/v1/jwks` }
        }
        cluster.keyLoads += 1
        return { keys: cluster.jwks }
      },
      get: notScripted,
      create: notScripted,
      createSubresource: notScripted,
      apply: notScripted,
      applyStatus: notScripted,
      patch: notScripted,
      replace: notScripted,
      delete: notScripted,
      close: async () => undefined,
    },
  }

  function items<T extends KubeObject>(resource: Resource<T>): Live<T>[] {
    const lists: Record<string, readonly KubeObject[]> = {
      pods: cluster.pods,
      accesskeys: cluster.keys,
      inferenceservices: cluster.services,
      identities: cluster.identities,
      peers: cluster.peers,
      remoteworks: cluster.remoteWorks,
      guestworks: cluster.guestWorks,
    }
    const objects = lists[resource.plural] ?? []
    // The plural that was just looked at is what ties the two types together.
    return objects.map((object) => ({
      ...object,
      metadata: { uid: object.metadata.name, ...object.metadata, resourceVersion: `${version}` },
    })) as unknown as Live<T>[]
  }

  async function* watch<T extends KubeObject>(
    resource: Resource<T>,
    signal: AbortSignal,
    from: string,
  ): AsyncGenerator<WatchEvent<T>> {
    let seen = Number(from)
    let before = items(resource)
    for (;;) {
      refuseWhenDown()
      if (version > seen) {
        seen = version
        const after = items(resource)
        const names = new Set(after.map(({ metadata }) => metadata.name))
        for (const object of after) yield { type: 'MODIFIED', object }
        for (const object of before)
          if (!names.has(object.metadata.name))
            yield {
              type: 'DELETED',
              object: { ...object, metadata: { ...object.metadata, resourceVersion: `${version}` } },
            }
        before = after
        continue
      }
      // A watch that was ended before it began to wait would wait forever.
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          waiting.delete(wake)
          signal.removeEventListener('abort', stop)
          resolve()
        }
        const stop = () => {
          waiting.delete(wake)
          reject(signal.reason)
        }
        waiting.add(wake)
        signal.addEventListener('abort', stop, { once: true })
      })
    }
  }

  function refuseWhenDown(): void {
    if (cluster.down) throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'connection refused' })
  }

  return cluster
}

function notScripted(): Promise<never> {
  return Promise.reject(new Error('the gateway must not call this'))
}
