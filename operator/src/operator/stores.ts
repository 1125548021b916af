import type { Registry } from 'prom-client'
import type { AccessKey } from '../api/access-key.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Peer } from '../api/peer.ts'
import type { KubeObject } from '../api/resource.ts'
import { startGuestStores } from '../guestwork/stores.ts'
import { managedSelector, serviceLabel } from '../inferenceservice/names.ts'
import { deployments, jobs, namespaces, networkPolicies, pods, serviceAccounts } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import {
  accessKeys,
  egressPolicies,
  identities,
  inferenceServices,
  models,
  peers,
  remoteWorks,
} from '../kube/hansa-resources.ts'
import { startReflector } from '../kube/reflector.ts'
import { keyOf } from '../kube/resource.ts'
import { judgedServices } from '../layers/judged-index.ts'
import { modelOfPod } from '../model/controller.ts'
import type { Logger } from '../process/log.ts'
import { remoteWorkIndexes } from '../remotework/indexes.ts'

/** Everything that the controllers look at, kept in step with the API server. */
export function startStores(
  deps: { client: KubeClient; log: Logger; registry: Registry; systemNamespace: string },
  signal: AbortSignal,
) {
  const managed = { labelSelector: managedSelector }
  return {
    ...startGuestStores(deps, deps.systemNamespace, signal),
    models: startReflector(deps, { resource: models }, signal).store,
    services: startReflector(
      deps,
      { resource: inferenceServices, indexes: { model: modelOfService, judged: judgedServices, peer: peersOfService } },
      signal,
    ).store,
    keys: startReflector(deps, { resource: accessKeys, indexes: { service: servicesOfKey } }, signal).store,
    identities: startReflector(deps, { resource: identities }, signal).store,
    peers: startReflector(deps, { resource: peers, indexes: { identity: identityOfPeer } }, signal).store,
    egressPolicies: startReflector(deps, { resource: egressPolicies }, signal).store,
    remoteWorks: startReflector(deps, { resource: remoteWorks, indexes: remoteWorkIndexes }, signal).store,
    namespaces: startReflector(deps, { resource: namespaces }, signal).store,
    accounts: startReflector(deps, { resource: serviceAccounts, ...managed }, signal).store,
    policies: startReflector(deps, { resource: networkPolicies, ...managed }, signal).store,
    jobs: startReflector(deps, { resource: jobs, ...managed }, signal).store,
    deployments: startReflector(deps, { resource: deployments, ...managed, indexes: { service: serviceOf } }, signal)
      .store,
    pods: startReflector(
      deps,
      { resource: pods, ...managed, indexes: { service: serviceOf, model: modelOfPod } },
      signal,
    ).store,
    linkPods: startReflector(
      deps,
      { resource: pods, namespace: deps.systemNamespace, labelSelector: 'app.kubernetes.io/component=link' },
      signal,
    ).store,
  }
}

export type Stores = ReturnType<typeof startStores>

/** The key of the InferenceService that a child or pod belongs to. */
export function serviceOf({ metadata }: KubeObject): readonly string[] {
  const name = metadata.labels?.[serviceLabel]
  return name === undefined ? [] : [keyOf({ namespace: metadata.namespace ?? '', name })]
}

function identityOfPeer({ spec }: Peer): readonly string[] {
  return [spec.identityRef.name]
}

function modelOfService({ metadata, spec }: InferenceService): readonly string[] {
  return [keyOf({ namespace: metadata.namespace ?? '', name: spec.modelRef.name })]
}

function peersOfService({ spec }: InferenceService): readonly string[] {
  return (spec.placement?.peers ?? []).map(({ name }) => name)
}

function servicesOfKey({ metadata, spec }: AccessKey): readonly string[] {
  return spec.services.map((name) => keyOf({ namespace: metadata.namespace ?? '', name }))
}

/** The key of the controlling owner of that kind. */
export function ownerOf(kind: string): (object: KubeObject) => readonly string[] {
  return ({ metadata }) =>
    (metadata.ownerReferences ?? [])
      .filter((owner) => owner.controller === true && owner.kind === kind)
      .map((owner) => keyOf({ namespace: metadata.namespace ?? '', name: owner.name }))
}
