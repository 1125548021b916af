import type { GuestWork } from '../api/guest-work.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Work } from '../api/remote-work.ts'
import type { KubeObject } from '../api/resource.ts'
import type { ExecutorLease } from '../grant/executor.ts'
import { leaseFile, leaseJson } from '../grant/lease-json.ts'
import { leaseConfigMap } from '../inferenceservice/lease-config.ts'
import { isNotFound, isRefused } from '../kube/api-error.ts'
import { configMaps } from '../kube/builtin.ts'
import { inferenceServices, models } from '../kube/hansa-resources.ts'
import { type Live, type Resource, refOf } from '../kube/resource.ts'
import type { ManagedFields } from '../kube/transform.ts'
import { guestsLabel } from '../sharepolicy/judge.ts'
import type { GuestWorkDeps } from './deps.ts'
import { guestModel, guestService, type Host } from './local-objects.ts'
import { fieldManager, guestWorkAnnotation, isOurs, localName } from './names.ts'

export type Locals = { service: Live<InferenceService> | undefined; model: Live<Model> | undefined }

/** The objects that were made for guest work, as far as they are there and ours. */
export function localsOf(guest: GuestWork, namespace: string | undefined, deps: GuestWorkDeps): Locals {
  if (namespace === undefined) return { service: undefined, model: undefined }
  const ref = { namespace, name: localName(guest) }
  const service = deps.services.get(ref)
  const model = deps.models.get(ref)
  return {
    service: service !== undefined && isOurs(service, guest) ? service : undefined,
    model: model !== undefined && isOurs(model, guest) ? model : undefined,
  }
}

/** Makes and keeps the objects of a lease; returns why the API server refuses them, if it does. */
export async function applyLocals(
  guest: Live<GuestWork>,
  work: Work,
  host: Host,
  lease: ExecutorLease,
  deps: GuestWorkDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ref = { namespace: host.targetNamespace, name: localName(guest) }
  const before = { service: deps.services.get(ref), model: deps.models.get(ref) }
  for (const object of [before.service, before.model]) {
    if (object !== undefined && !isOurs(object, guest)) return `${object.kind} ${ref.name} was made by somebody else`
  }
  const model = guestModel(guest, work, host)
  if (model === undefined) return 'the request has no model that can be fetched'
  try {
    await deps.applier.apply(models, model, before.model, { signal })
    const desired = guestService(guest, work, host, lease, false)
    const service = await deps.applier.apply(inferenceServices, desired, before.service, { signal })
    await applyLease(guest, work, host, lease, service.metadata.uid, deps, signal)
    return undefined
  } catch (thrown) {
    if (!isRefused(thrown)) throw thrown
    return thrown.message
  }
}

/** Workers cannot start without it, and end with it. */
async function applyLease(
  guest: Live<GuestWork>,
  { workload }: Work,
  host: Host,
  lease: ExecutorLease,
  serviceUid: string,
  { client, memory }: GuestWorkDeps,
  signal: AbortSignal,
): Promise<void> {
  const text = `${serviceUid} ${leaseJson(workload, lease)}`
  // ConfigMaps are not ours to watch; what was applied once stays until the next renewal.
  if (memory.leaseTexts.get(guest.metadata.uid) === text) return
  const leased = { namespace: host.targetNamespace, service: localName(guest), serviceUid }
  const config = leaseConfigMap({ ...leased, ...leaseFile(workload, lease) })
  await client.apply(configMaps, config, { signal, fieldManager })
  memory.leaseTexts.set(guest.metadata.uid, text)
}

/** Takes the workers away: no new requests, those under way may finish. */
export async function suspendLocals(
  guest: GuestWork,
  namespace: string | undefined,
  deps: GuestWorkDeps,
  signal: AbortSignal,
): Promise<void> {
  const { service } = localsOf(guest, namespace, deps)
  if (service === undefined || service.spec.suspend || service.metadata.deletionTimestamp !== undefined) return
  try {
    await deps.client.patch(inferenceServices, refOf(service), { spec: { suspend: true } }, { signal, fieldManager })
  } catch (thrown) {
    if (!isNotFound(thrown)) throw thrown
  }
}

/** Deletes the objects; true when none is left. The ConfigMap goes with its service. */
export async function removeLocals(
  guest: GuestWork,
  namespace: string | undefined,
  deps: GuestWorkDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { service, model } = localsOf(guest, namespace, deps)
  if (service !== undefined) await remove(inferenceServices, service, deps, signal)
  if (model !== undefined) await remove(models, model, deps, signal)
  return service === undefined && model === undefined
}

/** Deletes what was made for guest work that is no more, in namespaces of guests. */
export async function removeOrphans(key: string, deps: GuestWorkDeps, signal: AbortSignal): Promise<void> {
  for (const service of deps.services.list()) {
    if (isOrphanOf(service, key, deps)) await remove(inferenceServices, service, deps, signal)
  }
  for (const model of deps.models.list()) {
    if (isOrphanOf(model, key, deps)) await remove(models, model, deps, signal)
  }
}

/** The key of the GuestWork that an object says that it was made for. */
export function guestWorkOf({ metadata }: KubeObject): readonly string[] {
  const key = metadata.annotations?.[guestWorkAnnotation]
  return key === undefined ? [] : [key]
}

/** Labels and annotations anybody may write; that we made the object is what its managed fields say. */
function isOrphanOf(object: KubeObject, key: string, deps: GuestWorkDeps): boolean {
  const metadata: KubeObject['metadata'] & { managedFields?: ManagedFields[] } = object.metadata
  if (metadata.annotations?.[guestWorkAnnotation] !== key) return false
  const namespace = deps.namespaces.get({ name: metadata.namespace ?? '' })
  if (namespace?.metadata.labels?.[guestsLabel] !== 'true') return false
  return (metadata.managedFields ?? []).some(
    ({ manager, operation }) => manager === fieldManager && operation === 'Apply',
  )
}

async function remove<T extends KubeObject>(
  resource: Resource<T>,
  object: Live<T>,
  { client }: GuestWorkDeps,
  signal: AbortSignal,
): Promise<void> {
  if (object.metadata.deletionTimestamp !== undefined) return
  const { uid } = object.metadata
  await client.delete(resource, refOf(object), { signal, uid, propagationPolicy: 'Background' })
}
