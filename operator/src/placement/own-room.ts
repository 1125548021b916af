import type { InferenceService } from '../api/inference-service.ts'
import { guestWorkLabel } from '../guestlease/lease.ts'
import { type Room, roomOf } from '../guestwork/idle.ts'
import { admits, podRequests, podView } from '../guestwork/pod-view.ts'
import type { Amounts } from '../guestwork/resources.ts'
import type { Node } from '../kube/builtin.ts'
import type { Clock } from '../kube/clock.ts'
import type { Pod, PodTemplate } from '../kube/pod-types.ts'
import { keyOf, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'

export type OwnRoom = {
  /** How many more workers of that template our nodes have room for; guests make room for our own. At most `most`. */
  roomFor(template: PodTemplate, most: number): number
}

// Many services are looked at in one go.
const keepMilliseconds = 1_000

/** Adds up what is free on our nodes. */
export function createOwnRoom(deps: {
  nodes: Pick<Store<Node>, 'list'>
  allPods: Pick<Store<Pod>, 'list'>
  services: Pick<Store<InferenceService>, 'list'>
  clock: Clock
}): OwnRoom {
  let known: { room: Room; at: number } | undefined
  const current = (): Room => {
    const now = deps.clock.monotonic()
    if (known === undefined || now - known.at > keepMilliseconds) {
      known = { room: look(deps.nodes.list(), deps.allPods.list(), deps.services.list()), at: now }
    }
    return known.room
  }
  return { roomFor: (template, most) => fitting(current(), template, most) }
}

/** What is free on nodes beside those pods. */
export function look(nodes: readonly Node[], pods: readonly Pod[], services: readonly InferenceService[]): Room {
  const guests = new Set(
    services
      .filter(({ metadata }) => metadata.labels?.[guestWorkLabel] !== undefined)
      .map((each) => keyOf(refOf(each))),
  )
  return roomOf(nodes, pods.map(podView), ({ service }) => service !== undefined && guests.has(service))
}

export function fitting({ nodes }: Room, { spec }: PodTemplate, most: number): number {
  const requests = podRequests(spec)
  const { nodeSelector, tolerations, affinity } = spec
  const wants = {
    ...(nodeSelector !== undefined && { nodeSelector }),
    ...(tolerations !== undefined && { tolerations }),
    ...(affinity !== undefined && { affinity }),
  }
  let room = 0
  for (const { node, freeWithoutGuests } of nodes) {
    if (room >= most) return most
    if (admits(node, wants)) room += timesIn(requests, freeWithoutGuests, most)
  }
  return Math.min(room, most)
}

function timesIn(requests: Amounts, free: Amounts, most: number): number {
  let times = most
  for (const [name, amount] of requests) {
    if (amount <= 0n) continue
    const fits = (free.get(name) ?? 0n) / amount
    if (fits < BigInt(times)) times = Number(fits < 0n ? 0n : fits)
  }
  return times
}
