import { createHash } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { GuestWork } from '../../api/guest-work.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { type Controller, type ReconcileResult, source, startController } from '../../kube/controller.ts'
import { guestWorks, remoteWorks } from '../../kube/hansa-resources.ts'
import { keyOf, type Live, type Resource, refOfKey } from '../../kube/resource.ts'
import type { Store } from '../../kube/store.ts'
import type { Logger } from '../../process/log.ts'
import type { LinkPeer } from '../link-peer.ts'
import type { LinkMetrics } from '../metrics.ts'
import type { Peerings } from '../peerings.ts'
import type { Roster } from '../roster.ts'
import { isUnavailable } from '../transport/call-error.ts'
import { codeOfKind } from '../wire/messages.ts'
import { deliver } from '../wire/methods.ts'
import { entryOf, type OwnParts, type Work, withEntry, writeOwnParts } from './mailbox.ts'
import { type Pending, pendingOfGuestWork, pendingOfRemoteWork } from './outbox.ts'

const callSeconds = 10
const otherReplicaSeconds = 4
const firstRetrySeconds = 15
const longestRetrySeconds = 300
const guestPrefix = 'guest:'

export type Sender = { close(): Promise<void> }

type Outcome = { kind: Pending['kind']; sequence: number; refusal?: string | undefined }

/**
 * Delivers what the operator wrote into outboxes. Each peer has workers of its own, so that one that answers slowly makes only
 * its own messages wait.
 */
export function startSender(
  deps: {
    client: KubeClient
    works: Store<RemoteWork, 'request' | 'peer'>
    guests: Store<GuestWork, 'peer'>
    roster: Roster
    peerings: Peerings
    replicaName: string
    clock: Clock
    log: Logger
    registry: Registry
    metrics: LinkMetrics
  },
  signal: AbortSignal,
): Sender {
  const { client, works, guests, roster, peerings, clock, log, registry, metrics } = deps
  const couriers = new Map<string, Controller>()
  const stopped = new Set<Promise<void>>()
  /** Of messages that were refused: when to try again. */
  const refused = new Map<string, { sequence: number; tries: number; at: number }>()
  const firstSeen = new Map<string, number>()

  function follow(peerName: string): void {
    const courier = couriers.get(peerName)
    if (roster.get(peerName)?.mode === 'Open' && !signal.aborted) {
      if (courier === undefined) couriers.set(peerName, courierOf(peerName))
      else wake(peerName, courier)
    } else if (courier !== undefined) {
      couriers.delete(peerName)
      const ending = courier.stop().finally(() => stopped.delete(ending))
      stopped.add(ending)
    }
  }

  function wake(peerName: string, courier: Controller): void {
    for (const { metadata } of works.byIndex('peer', peerName)) courier.enqueue(keyOf(metadata))
    for (const { metadata } of guests.byIndex('peer', peerName)) courier.enqueue(guestPrefix + keyOf(metadata))
  }

  function courierOf(peerName: string): Controller {
    const mine =
      <T extends Work>(prefix: string) =>
      (object: Live<T>) =>
        object.spec.peerRef.name === peerName ? [prefix + keyOf(object.metadata)] : []
    return startController(
      { log, clock, registry },
      {
        name: 'link-sender',
        sources: [source(works, mine<RemoteWork>('')), source(guests, mine<GuestWork>(guestPrefix))],
        reconcile: (key, context) => send(peerName, key, context.signal),
        concurrency: 4,
        timeoutSeconds: 60,
      },
      signal,
    )
  }

  async function send(peerName: string, key: string, stop: AbortSignal): Promise<ReconcileResult> {
    const peer = roster.get(peerName)
    if (peer?.mode !== 'Open' || !peerings.canCall(peerName)) return {}
    if (key.startsWith(guestPrefix)) {
      const guest = guests.get(refOfKey(key.slice(guestPrefix.length)))
      return guest === undefined ? {} : sendAll(peer, guestWorks, guest, pendingOfGuestWork(guest), stop)
    }
    const work = works.get(refOfKey(key))
    return work === undefined ? {} : sendAll(peer, remoteWorks, work, pendingOfRemoteWork(work, clock.now()), stop)
  }

  async function sendAll<T extends Work>(
    peer: LinkPeer,
    resource: Resource<T>,
    object: Live<T>,
    pending: readonly Pending[],
    stop: AbortSignal,
  ): Promise<ReconcileResult> {
    const { uid } = object.metadata
    if (pending.length === 0) {
      firstSeen.delete(uid)
      return {}
    }
    const patience = patienceMilliseconds(peer, uid)
    if (patience > 0) return { afterSeconds: patience / 1000 }
    const outcomes: Outcome[] = []
    let again = Number.POSITIVE_INFINITY
    for (const message of pending) {
      const wait = waitOf(uid, message)
      if (wait > 0) {
        again = Math.min(again, wait)
        continue
      }
      let outcome: Outcome | undefined
      try {
        outcome = await sendOne(peer, message, stop)
      } catch (error) {
        if (outcomes.length > 0) await record(resource, object, outcomes, stop)
        throw error
      }
      if (outcome === undefined) continue
      outcomes.push(outcome)
      again = Math.min(again, remember(uid, message, outcome))
    }
    if (outcomes.length > 0) await record(resource, object, outcomes, stop)
    return Number.isFinite(again) ? { afterSeconds: again / 1000 } : {}
  }

  /** One of several replicas of ours sends at once; the others only if that one does not. */
  function patienceMilliseconds(peer: LinkPeer, uid: string): number {
    const others = (peer.peer.status?.links ?? []).filter(({ connected }) => connected).map(({ replica }) => replica)
    const rank = (replica: string) => createHash('sha256').update(`${uid} ${replica}`).digest('hex')
    const [first] = [...new Set([...others, deps.replicaName])].sort((a, b) => rank(a).localeCompare(rank(b)))
    if (first === deps.replicaName) return 0
    const since = firstSeen.get(uid) ?? clock.monotonic()
    firstSeen.set(uid, since)
    return Math.max(0, since + otherReplicaSeconds * 1000 - clock.monotonic())
  }

  async function sendOne(peer: LinkPeer, message: Pending, stop: AbortSignal): Promise<Outcome | undefined> {
    const { kind, requestId, sequence, envelope } = message
    try {
      const { response } = await peerings.call(
        peer.name,
        deliver,
        { kind: codeOfKind(kind), requestId, sequence, envelope },
        { signal: stop, timeoutSeconds: callSeconds },
      )
      // What it says beyond what we sent is nobody's word on messages to come.
      const taken = response.refusal === undefined && response.taken >= sequence
      metrics.delivered(kind, taken ? 'taken' : 'refused')
      if (taken) return { kind, sequence }
      const { reason, message: why } = response.refusal ?? { reason: 'NotTaken', message: 'an older one is known' }
      log.info({ peer: peer.name, kind, reason }, 'the peer does not take a message')
      return { kind, sequence, refusal: `${reason}: ${why}`.slice(0, 1024) }
    } catch (error) {
      metrics.delivered(kind, 'failed')
      // With the next connection everything is looked at again.
      if (isUnavailable(error) && !peerings.canCall(peer.name)) return undefined
      throw error
    }
  }

  function waitOf(uid: string, { kind, sequence }: Pending): number {
    const before = refused.get(`${uid} ${kind}`)
    return before?.sequence === sequence ? Math.max(0, before.at - clock.monotonic()) : 0
  }

  /** Milliseconds until a refused message is to be tried again; what was taken needs no more. */
  function remember(uid: string, { kind, sequence }: Pending, { refusal }: Outcome): number {
    const key = `${uid} ${kind}`
    const before = refused.get(key)
    refused.delete(key)
    if (refusal === undefined) return Number.POSITIVE_INFINITY
    const tries = before?.sequence === sequence ? before.tries + 1 : 0
    const wait = Math.min(longestRetrySeconds, firstRetrySeconds * 2 ** Math.min(tries, 10)) * 1000
    refused.set(key, { sequence, tries, at: clock.monotonic() + wait })
    for (const oldest of refused.keys()) {
      if (refused.size <= 10_000) break
      refused.delete(oldest)
    }
    return wait
  }

  async function record<T extends Work>(
    resource: Resource<T>,
    object: Live<T>,
    outcomes: readonly Outcome[],
    stop: AbortSignal,
  ): Promise<void> {
    await writeOwnParts(
      client,
      resource,
      object,
      (parts) => {
        const delivered: readonly Outcome[] | undefined = parts.delivered
        const next = outcomes.reduce<Outcome[]>(
          (entries, { kind, sequence, refusal }) => {
            const before = entryOf(entries, kind)?.sequence ?? 0
            return withEntry(
              entries,
              refusal === undefined
                ? { kind, sequence: Math.max(before, sequence) }
                : { kind, sequence: before, refusal },
            )
          },
          [...(delivered ?? [])],
        )
        if (JSON.stringify(next) === JSON.stringify(delivered)) return undefined
        // Kinds of a pending message are those that its object delivers.
        return { ...parts, delivered: next } as OwnParts<T>
      },
      stop,
    )
  }

  const unsubscribe = [roster.subscribe(follow), peerings.subscribe(follow)]
  for (const { name } of roster.list()) follow(name)
  return {
    close: async () => {
      for (const stop of unsubscribe) stop()
      await Promise.all([...couriers.values()].map((courier) => courier.stop()))
      await Promise.all(stopped)
    },
  }
}
