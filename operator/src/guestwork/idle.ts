import type { Node } from '../kube/builtin.ts'
import { admits, type PodView } from './pod-view.ts'
import { type Amounts, add, amountsOf } from './resources.ts'

/** A lease whose guests may have to make room. */
export type EvictableLease = { readonly key: string; readonly service: string; readonly grantedTime: string }

/** The nodes with what is free on them, and our own pods that wait for room. */
export type Room = {
  readonly nodes: readonly NodeRoom[]
  readonly waiting: readonly PodView[]
}

type NodeRoom = {
  readonly node: Node
  /** Free if everybody who leaves has left. */
  readonly free: Amounts
  /** Free if all guests were gone as well. */
  readonly freeWithoutGuests: Amounts
  readonly guests: readonly PodView[]
}

// Pods that wait are looked at in the scheduler's order; beyond so many, one more says nothing new.
const mostWaiting = 200
// The scheduler makes room by itself; when it has not after this, we do.
const schedulerSeconds = 5

/** Sums up nodes and pods. `isGuest` tells guests by `PodView.service`. */
export function roomOf(nodes: readonly Node[], pods: Iterable<PodView>, isGuest: (pod: PodView) => boolean): Room {
  type Used = { all: Amounts; own: Amounts; guests: PodView[] }
  const byNode = new Map<string, Used>()
  const waiting: PodView[] = []
  for (const pod of pods) {
    const guest = isGuest(pod)
    if (pod.nodeName === undefined) {
      if (!guest && !pod.leaving && !pod.gated) waiting.push(pod)
      continue
    }
    if (pod.leaving) continue
    const entry: Used = byNode.get(pod.nodeName) ?? { all: new Map(), own: new Map(), guests: [] }
    entry.all = add(entry.all, pod.requests)
    if (guest) entry.guests.push(pod)
    else entry.own = add(entry.own, pod.requests)
    byNode.set(pod.nodeName, entry)
  }
  waiting.sort((a, b) => b.priority - a.priority || (a.created < b.created ? -1 : 1))
  return {
    waiting: waiting.slice(0, mostWaiting),
    nodes: nodes.map((node) => {
      const allocatable = amountsOf(node.status?.allocatable)
      const used = byNode.get(node.metadata.name)
      const free = used === undefined ? allocatable : minus(allocatable, used.all)
      const freeWithoutGuests = used === undefined ? allocatable : minus(allocatable, used.own)
      return { node, free, freeWithoutGuests, guests: used?.guests ?? [] }
    }),
  }
}

/**
 * A pod of our own that waits and could use what workers of that size would take: it would fit some node if there were no guests, and
 * fits none any more once the workers are there. Undefined: the room is idle.
 */
export function waitingFor(room: Room, worker: Amounts, replicas: number): PodView | undefined {
  return room.waiting.find((pod) => {
    const open = room.nodes.filter(({ node }) => admits(node, pod.spec))
    if (!open.some(({ freeWithoutGuests }) => fits(pod.requests, freeWithoutGuests))) return false
    return !open.some(({ free }) => fits(pod.requests, minusWorkers(free, worker, replicas)))
  })
}

/**
 * Leases that must end so that our own waiting pods find room, with the pod that each makes room for: the fewest on one node for each pod,
 * the newest lease first. A pod for which the scheduler itself makes room is left to it for a while; who was preempted by it is
 * named too, since that lease cannot be kept. `now` in milliseconds since 1970.
 */
export function leasesToEnd(
  room: Room,
  pods: Iterable<PodView>,
  leases: readonly EvictableLease[],
  now: number,
): Map<string, PodView> {
  const leaseOf = new Map(leases.map((lease) => [lease.service, lease]))
  const ends = new Map<string, PodView>()
  for (const pod of pods) {
    const lease = pod.service === undefined ? undefined : leaseOf.get(pod.service)
    if (lease !== undefined && pod.preempted) ends.set(lease.key, pod)
  }
  let nodes = room.nodes.map((each) => withoutLeases(each, (key) => ends.has(key), leaseOf))
  for (const pod of room.waiting) {
    if (!pod.held) continue
    const open = nodes.filter(({ node }) => admits(node, pod.spec))
    const roomy = open.find(({ free }) => fits(pod.requests, free))
    if (roomy !== undefined) {
      nodes = taken(nodes, roomy, pod)
      continue
    }
    if (pod.nominatedNode !== undefined && now - Date.parse(pod.heldSince ?? '') < schedulerSeconds * 1_000) continue
    const choice = open
      .map((each) => ({ each, leases: fewestLeases(each, pod, leaseOf) }))
      .filter((each) => each.leases !== undefined)
      .sort((a, b) => (a.leases?.length ?? 0) - (b.leases?.length ?? 0))[0]
    if (choice?.leases === undefined) continue
    for (const key of choice.leases) ends.set(key, pod)
    nodes = nodes.map((each) => withoutLeases(each, (key) => ends.has(key), leaseOf))
    const freed = nodes.find(({ node }) => node.metadata.name === choice.each.node.metadata.name)
    if (freed !== undefined) nodes = taken(nodes, freed, pod)
  }
  return ends
}

/** The newest leases on the node whose end lets the pod in; undefined when even all do not. */
function fewestLeases(
  { free, guests }: NodeRoom,
  pod: PodView,
  leaseOf: ReadonlyMap<string, EvictableLease>,
): string[] | undefined {
  const onNode = [...new Set(guests.map(({ service }) => leaseOf.get(service ?? '')))]
    .filter((lease) => lease !== undefined)
    .sort((a, b) => (a.grantedTime > b.grantedTime ? -1 : 1))
  const ended: string[] = []
  let open = free
  for (const lease of onNode) {
    const freed = guests.filter(({ service }) => service === lease.service)
    // A guest that has nothing of what the pod lacks need not go.
    if (!freed.some(({ requests }) => helps(requests, pod.requests, open))) continue
    open = freed.reduce((sum, { requests }) => add(sum, requests), open)
    ended.push(lease.key)
    if (fits(pod.requests, open)) return ended
  }
  return undefined
}

function withoutLeases(
  room: NodeRoom,
  isEnded: (key: string) => boolean,
  leaseOf: ReadonlyMap<string, EvictableLease>,
): NodeRoom {
  const stays = (guest: PodView) => {
    const lease = leaseOf.get(guest.service ?? '')
    return lease === undefined || !isEnded(lease.key)
  }
  const gone = room.guests.filter((guest) => !stays(guest))
  if (gone.length === 0) return room
  return {
    ...room,
    guests: room.guests.filter(stays),
    free: gone.reduce((sum, { requests }) => add(sum, requests), room.free),
  }
}

function taken(nodes: readonly NodeRoom[], by: NodeRoom, pod: PodView): NodeRoom[] {
  return nodes.map((each) =>
    each.node.metadata.name === by.node.metadata.name
      ? {
          ...each,
          free: minus(each.free, pod.requests),
          freeWithoutGuests: minus(each.freeWithoutGuests, pod.requests),
        }
      : each,
  )
}

function minusWorkers(free: Amounts, worker: Amounts, replicas: number): Amounts {
  let left = free
  for (let placed = 0; placed < replicas && fits(worker, left); placed++) left = minus(left, worker)
  return left
}

function helps(freed: Amounts, wanted: Amounts, free: Amounts): boolean {
  return [...wanted].some(([name, amount]) => amount > (free.get(name) ?? 0n) && (freed.get(name) ?? 0n) > 0n)
}

function fits(wanted: Amounts, free: Amounts): boolean {
  return [...wanted].every(([name, amount]) => amount === 0n || amount <= (free.get(name) ?? 0n))
}

function minus(a: Amounts, b: Amounts): Map<string, bigint> {
  const left = new Map(a)
  for (const [name, amount] of b) left.set(name, (left.get(name) ?? 0n) - amount)
  return left
}
