import type { Node } from '../kube/builtin.ts'
import type { Clock } from '../kube/clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Store } from '../kube/store.ts'
import { type EvictableLease, leasesToEnd, type Room, roomOf, waitingFor } from './idle.ts'
import type { FreeNode } from './offers.ts'
import type { PodTimes } from './pod-times.ts'
import type { PodView } from './pod-view.ts'
import type { Amounts } from './resources.ts'

/** What the controllers know of the room on our nodes. */
export type IdleWatch = {
  /** One of our own pods, as `namespace/name`, that waits for what such workers would take. */
  waitingFor(worker: Amounts, replicas: number): string | undefined
  /** The pod of ours, as `namespace/name`, that the lease of this GuestWork (key) must make room for. */
  mustEnd(key: string): string | undefined
  /** The nodes, with what is free on them beside everybody who runs there. */
  freeNodes(): readonly FreeNode[]
  /** Calls back when what is said here may have changed; returns the way to stop. */
  subscribe(listener: () => void): () => void
}

// Pods come in crowds; one look for all that come within this time.
const gatherMilliseconds = 100

/** Watches nodes and pods; `leases` gives the leases of policies with IdleOnly, `guestServices` the services of all guests. */
export function watchIdle(
  deps: {
    nodes: Pick<Store<Node>, 'list' | 'subscribe'>
    pods: Pick<Store<Pod>, 'subscribe'>
    times: Pick<PodTimes, 'views'>
    clock: Clock
    leases: () => readonly EvictableLease[]
    guestServices: () => ReadonlySet<string>
  },
  signal: AbortSignal,
): IdleWatch {
  const { clock } = deps
  const listeners = new Set<() => void>()
  let room: Room | undefined
  let ends: ReadonlyMap<string, PodView> | undefined
  let said = ''
  let cancel: (() => void) | undefined

  const current = (): Room => {
    room ??= lookAround()
    return room
  }
  function lookAround(): Room {
    const guests = deps.guestServices()
    return roomOf(deps.nodes.list(), deps.times.views(), ({ service }) => service !== undefined && guests.has(service))
  }

  function look(): void {
    cancel = undefined
    forget()
    const { waiting } = current()
    ends = leasesToEnd(current(), deps.times.views(), deps.leases(), clock.now())
    const now = JSON.stringify([waiting.map(({ uid, held }) => [uid, held]), [...ends.keys()]])
    if (now !== said) for (const listener of listeners) listener()
    said = now
    // What is left to the scheduler now may be ours in a while.
    if (waiting.some(({ nominatedNode }) => nominatedNode !== undefined)) cancel = clock.after(1_000, look)
  }

  function forget(): void {
    room = undefined
    ends = undefined
  }

  const changed = () => {
    forget()
    cancel ??= clock.after(gatherMilliseconds, look)
  }
  const stops = [deps.nodes.subscribe(changed), deps.pods.subscribe(changed)]
  signal.addEventListener(
    'abort',
    () => {
      for (const stop of stops) stop()
      cancel?.()
    },
    { once: true },
  )

  return {
    waitingFor: (worker, replicas) => nameOf(waitingFor(current(), worker, replicas)),
    mustEnd(key) {
      ends ??= leasesToEnd(current(), deps.times.views(), deps.leases(), clock.now())
      return nameOf(ends.get(key))
    },
    freeNodes: () => current().nodes,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function nameOf(pod: PodView | undefined): string | undefined {
  return pod === undefined ? undefined : `${pod.namespace}/${pod.name}`
}
