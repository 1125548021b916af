import { z } from 'zod'
import type { FederatedOwner } from '../cluster/hansa/federation.ts'
import { eventually } from './wait.ts'

const apis = '/apis/hansa.dev/v1alpha1'

const conditionsSchema = z
  .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
  .default([])

const peerSchema = z.object({
  status: z.object({
    links: z.array(z.object({ connected: z.boolean(), direction: z.string() })).default([]),
    conditions: conditionsSchema,
  }),
})

const remoteWorkSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
  spec: z.object({ peerRef: z.object({ name: z.string() }) }),
  status: z
    .object({
      answer: z
        .object({
          decision: z.string(),
          refusals: z.array(z.object({ reason: z.string(), message: z.string() })).default([]),
        })
        .optional(),
      lease: z.object({ epoch: z.number(), ttlSeconds: z.number(), state: z.string() }).optional(),
      readyReplicas: z.number().optional(),
      conditions: conditionsSchema,
    })
    .default({ conditions: [] }),
})

const podSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
  spec: z.object({
    priorityClassName: z.string().optional(),
    automountServiceAccountToken: z.boolean().optional(),
    initContainers: z
      .array(z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })).default([]) }))
      .default([]),
  }),
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
})

export type GuestPod = z.infer<typeof podSchema>
export type SeenRemoteWork = z.infer<typeof remoteWorkSchema>

/** A Peer as its owner sees it. */
export async function peerOf(owner: FederatedOwner, name: string) {
  const { status } = peerSchema.parse(await owner.get(`${apis}/peers/${name}`))
  return {
    ready: status.conditions.find(({ type }) => type === 'Ready'),
    direction: status.links.find(({ connected }) => connected)?.direction,
  }
}

/** The newest request of a service to a peer. */
export async function remoteWorkOf(
  owner: FederatedOwner,
  service: string,
  peer: string,
): Promise<SeenRemoteWork | undefined> {
  const list = z.object({ items: z.array(remoteWorkSchema) })
  const { items } = list.parse(await owner.get(`${apis}/namespaces/digits/remoteworks`))
  return items
    .filter(({ metadata, spec }) => spec.peerRef.name === peer && metadata.name.startsWith(`${service}-${peer}-`))
    .at(-1)
}

/** Waits for a request to come to some state; fails with what it said last. */
export function remoteWorkThat(
  owner: FederatedOwner,
  [service, peer]: readonly [string, string],
  what: string,
  holds: (work: SeenRemoteWork) => boolean,
  seconds = 120,
): Promise<SeenRemoteWork> {
  return eventually(
    what,
    async () => {
      const work = await remoteWorkOf(owner, service, peer)
      if (work === undefined) throw new Error('there is no RemoteWork')
      if (holds(work)) return work
      throw new Error(
        work.status.conditions.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).join('; '),
      )
    },
    { seconds },
  )
}

/** Pods in the namespace that an owner gave to guests, without those that are going. */
export async function guestPods(owner: FederatedOwner, namespace: string): Promise<GuestPod[]> {
  const list = z.object({ items: z.array(podSchema) })
  const { items } = list.parse(await owner.get(`/api/v1/namespaces/${namespace}/pods`))
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
}

/** Whether a pod is Ready. */
export function isReady({ status }: GuestPod): boolean {
  return status.conditions.some(({ type, status: holds }) => type === 'Ready' && holds === 'True')
}
