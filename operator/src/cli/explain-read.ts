import type { EgressPolicy } from '../api/egress-policy.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Peer } from '../api/peer.ts'
import { ownName } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { KubeObject } from '../api/resource.ts'
import { classOfNamespace, raisedClass } from '../egresspolicy/data-class.ts'
import { type ModelState, modelState } from '../inferenceservice/model-state.ts'
import { serviceLabel, workerSelector } from '../inferenceservice/names.ts'
import { KubeApiError } from '../kube/api-error.ts'
import { namespaces, nodes, pods } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { egressPolicies, identities, inferenceServices, models, peers, remoteWorks } from '../kube/hansa-resources.ts'
import type { Resource } from '../kube/resource.ts'
import { fitting, look } from '../placement/own-room.ts'

/** What placement looks at, as far as the caller may read it. */
export type ReadForPlacement = {
  service: InferenceService
  model: ModelState
  dataClass: DataClass
  namespaceLabels: Readonly<Record<string, string>> | undefined
  own: { current: number; room: number }
  works: readonly RemoteWork[]
  /** Of all services that the caller may see. */
  allWorks: readonly RemoteWork[]
  policies: readonly EgressPolicy[]
  peerOf: (name: string) => Peer | undefined
  identityOf: (name: string) => OwnerIdentity | undefined
  /** Whether owners can be judged: without Peers and EgressPolicies there is only what the operator said last. */
  canJudge: boolean
  unknown: string[]
}

/** Reads with the caller's rights; undefined where there is no such service. */
export async function readForPlacement(
  client: KubeClient,
  { name, namespace }: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<ReadForPlacement | undefined> {
  const service = await client.get(inferenceServices, { namespace, name }, { signal })
  if (service === undefined) return undefined
  const unknown: string[] = []
  const read = async <T extends KubeObject>(resource: Resource<T>, where: string | undefined, instead: string) => {
    const found = await allowed(() =>
      client.list(resource, { signal, ...(where !== undefined && { namespace: where }) }),
    )
    if (found === undefined) unknown.push(`you may not read ${resource.plural}: ${instead}`)
    return found?.items
  }
  const modelName = service.spec.modelRef.name
  const [model, home, policies, allPeers, allIdentities, everywhere] = await Promise.all([
    client.get(models, { namespace, name: modelName }, { signal }),
    allowed(() => client.get(namespaces, { name: namespace }, { signal })),
    read(egressPolicies, undefined, 'what follows is what the operator found last'),
    read(peers, undefined, 'what follows is what the operator found last'),
    read(identities, undefined, 'offers of peers cannot be checked, so price and room there are not known'),
    read(remoteWorks, undefined, 'work of other namespaces does not count'),
  ])
  const allWorks = everywhere ?? (await read(remoteWorks, namespace, 'what peers run is not known')) ?? []
  const works = allWorks.filter(
    ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[serviceLabel] === name,
  )
  if (home === undefined)
    unknown.push(`you may not read namespace ${namespace}: its class is that of work asked for, or Restricted`)
  const ofNamespace = home === undefined ? works[0]?.spec.work.dataClass : undefined
  return {
    service,
    model: modelState(modelName, model),
    dataClass: raisedClass(ofNamespace ?? classOfNamespace(home?.metadata.labels), service.spec.dataClass),
    namespaceLabels:
      home?.metadata.labels ?? (ofNamespace === undefined ? undefined : { 'hansa.dev/data-class': ofNamespace }),
    own: await ownRoom(client, service, unknown, signal),
    works,
    allWorks,
    policies: policies ?? [],
    canJudge: policies !== undefined && allPeers !== undefined,
    peerOf: (peer) => allPeers?.find(({ metadata }) => metadata.name === peer),
    identityOf: (identity) => allIdentities?.find(({ metadata }) => metadata.name === identity),
    unknown,
  }
}

/** What is free here, where the caller may see all nodes and pods; else as much as the operator gives this cluster now. */
async function ownRoom(
  client: KubeClient,
  service: InferenceService,
  unknown: string[],
  signal: AbortSignal,
): Promise<{ current: number; room: number }> {
  const { namespace = '', name } = service.metadata
  const mine = await allowed(() => client.list(pods, { namespace, labelSelector: workerSelector(name), signal }))
  const workers = (mine?.items ?? []).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const current =
    mine === undefined
      ? (service.status?.replicas ?? 0)
      : workers.filter(({ spec }) => spec.nodeName !== undefined).length
  const [template] = workers
  const all = await allowed(async () => {
    const [seen, everywhere, services] = await Promise.all([
      client.list(nodes, { signal }),
      client.list(pods, { signal, fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' }),
      client.list(inferenceServices, { signal }),
    ])
    return look(seen.items, everywhere.items, services.items)
  })
  const planned = service.status?.candidates?.find(({ owner }) => owner === ownName)?.replicas ?? current
  if (all === undefined || template === undefined) {
    unknown.push('the room on our nodes is not known: taken as what the operator found last')
    return { current, room: Math.max(current, planned) }
  }
  return { current, room: current + fitting(all, { spec: template.spec }, 1000) }
}

async function allowed<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403) return undefined
    throw error
  }
}
