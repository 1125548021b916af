import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Model } from '@hansa/operator/api/model.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import { deployments, pods } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { isTrue } from '@hansa/operator/kube/conditions.ts'
import { guestWorks, inferenceServices, models, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import type { Resource } from '@hansa/operator/kube/resource.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'

/** What happens between a RemoteWork here and its pod there, in order. */
export const stages = ['signed', 'delivered', 'granted', 'model', 'verified', 'service', 'deployment', 'pod'] as const
export type Stage = (typeof stages)[number]

/** When each stage of each request was first seen, in milliseconds of this process's clock. */
export type Sightings = {
  of(requestId: string): ReadonlyMap<Stage, number>
  /** Local names at the executor, which are known once the GuestWork is there. */
  localName(requestId: string): string | undefined
}

/** Watches both API servers as the operators do; its own delay is in every stage alike. */
export function watchStages(
  clients: { requester: KubeClient; executor: KubeClient },
  guests: string,
  signal: AbortSignal,
): Sightings {
  const log = createLogger('grant-latency', 'silent')
  const registry = new Registry()
  const byRequest = new Map<string, Map<Stage, number>>()
  const byName = new Map<string, Map<Stage, number>>()
  const names = new Map<string, string>()
  const note = (key: string, stage: Stage, into: typeof byRequest) => {
    const seen = into.get(key) ?? new Map<Stage, number>()
    into.set(key, seen)
    if (!seen.has(stage)) seen.set(stage, performance.now())
  }
  const watch = <T extends KubeObject>(client: KubeClient, resource: Resource<T>, see: (object: T) => void) => {
    const { store } = startReflector({ client, log, registry }, { resource }, signal)
    store.subscribe(({ current }) => {
      if (current !== undefined) see(current)
    })
  }
  watch<RemoteWork>(clients.requester, remoteWorks, ({ metadata, status }) => {
    if (status?.outbox?.some(({ kind }) => kind === 'Request')) note(metadata.uid ?? '', 'signed', byRequest)
  })
  watch<GuestWork>(clients.executor, guestWorks, ({ spec, status }) => {
    note(spec.requestId, 'delivered', byRequest)
    if (status?.decision === 'Granted') note(spec.requestId, 'granted', byRequest)
    const name = status?.local?.inferenceServiceName
    if (name !== undefined) names.set(spec.requestId, name)
  })
  const local = (object: KubeObject, stage: Stage) => {
    const { namespace, name, labels } = object.metadata
    if (namespace === guests) note(labels?.['hansa.dev/inference-service'] ?? name, stage, byName)
  }
  watch<Model>(clients.executor, models, (model) => {
    local(model, 'model')
    if (isTrue(model.status?.conditions, 'Verified')) local(model, 'verified')
  })
  watch<InferenceService>(clients.executor, inferenceServices, (service) => local(service, 'service'))
  watch(clients.executor, deployments, (deployment) => local(deployment, 'deployment'))
  watch(clients.executor, pods, (pod) => local(pod, 'pod'))
  return {
    of(requestId) {
      const name = names.get(requestId)
      return new Map([...(byRequest.get(requestId) ?? []), ...(name === undefined ? [] : (byName.get(name) ?? []))])
    },
    localName: (requestId) => names.get(requestId),
  }
}
