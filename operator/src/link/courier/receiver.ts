import { createHash } from 'node:crypto'
import type { GuestWork } from '../../api/guest-work.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import { apiVersion } from '../../api/resource.ts'
import type { OpenMessage } from '../../federation/federation.ts'
import { isAlreadyExists, isRefused } from '../../kube/api-error.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { guestWorks, remoteWorks } from '../../kube/hansa-resources.ts'
import type { Live } from '../../kube/resource.ts'
import type { Store } from '../../kube/store.ts'
import { messageOf } from '../../process/errors.ts'
import type { LinkPeer } from '../link-peer.ts'
import type { LinkMetrics } from '../metrics.ts'
import type { Refusals } from '../refusals.ts'
import { CallError, codes } from '../transport/call-error.ts'
import type { DeliveredKind } from '../wire/messages.ts'
import { entryOf, fieldManager, withEntry, writeOwnParts } from './mailbox.ts'

const rememberedMilliseconds = 30_000
const requestIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A message as it came. */
export type Incoming = { kind: DeliveredKind; requestId: string; sequence: number; envelope: string }

/** `taken`: highest sequence of this kind and request that needs no more sending. A refusal is final for this very message. */
export type Received = { ok: true; taken: number } | { ok: false; reason: string; message: string }

export type Receiver = {
  /** Puts a message of the peer into its mailbox. Throws CallError while that is not possible. */
  take(peer: LinkPeer, incoming: Incoming, signal: AbortSignal): Promise<Received>
}

/** Checks messages of peers and puts them into the objects that they are about. Decides nothing. */
export function createReceiver(deps: {
  client: KubeClient
  namespace: string
  guests: Store<GuestWork, 'peer'>
  works: Store<RemoteWork, 'request'>
  openMessage: OpenMessage
  openRequests: number
  clock: Clock
  metrics: LinkMetrics
  refusals: Refusals
}): Receiver {
  const { client, namespace, guests, works, openMessage, clock, metrics, refusals } = deps
  // What was created a moment ago need not be in the store yet, and must count.
  const created = new Map<string, Map<string, number>>()

  async function take(peer: LinkPeer, incoming: Incoming, signal: AbortSignal): Promise<Received> {
    const { kind, requestId, envelope } = incoming
    if (!requestIdPattern.test(requestId)) return refuse('Malformed', 'that is no id of a request')
    const opened = openMessage(kind, envelope, { peer: peer.peer, ownBundle: peer.own.bundle, now: clock.now() })
    if (!opened.ok) return refuse(opened.problem.reason, opened.problem.message)
    if (opened.message.requestId !== requestId || opened.message.sequence !== incoming.sequence) {
      return refuse('Malformed', 'the call says something else than the signed message')
    }
    switch (kind) {
      case 'Request':
        return request(peer, incoming, signal)
      case 'Renewal':
      case 'Cancel':
        return toGuest(peer, { ...incoming, kind }, signal)
      case 'Answer':
      case 'RenewalAsk':
      case 'Report':
        return toRequester(peer, { ...incoming, kind }, signal)
      default:
        kind satisfies never
        return refuse('UnknownKind', 'messages of that kind are not taken')
    }
  }

  async function request(peer: LinkPeer, incoming: Incoming, signal: AbortSignal): Promise<Received> {
    const name = guestWorkName(peer.name, incoming.requestId)
    const known = guests.get({ namespace, name })
    if (known !== undefined) return repeated(known, peer, incoming)
    const recent = recentOf(peer.name)
    const open = guests.byIndex('peer', peer.name).filter(isOpen)
    const count = new Set([...open.map(({ metadata }) => metadata.name), ...recent.keys()]).size
    if (count >= deps.openRequests && !recent.has(name)) {
      return refuse('TooManyRequests', `${count} requests are open; end some first`)
    }
    const guest: GuestWork = {
      apiVersion,
      kind: guestWorks.kind,
      metadata: { name, namespace },
      spec: { peerRef: { name: peer.name }, requestId: incoming.requestId, request: incoming.envelope },
    }
    recent.set(name, clock.monotonic())
    try {
      await client.create(guestWorks, guest, { fieldManager, signal, timeoutSeconds: 10 })
      return { ok: true, taken: incoming.sequence }
    } catch (error) {
      if (!isAlreadyExists(error)) recent.delete(name)
      else {
        const live = await client.get(guestWorks, { namespace, name }, { signal, timeoutSeconds: 10 })
        if (live !== undefined) return repeated(live, peer, incoming)
      }
      if (isRefused(error)) return refuse('NotAccepted', 'the request is not accepted here')
      throw error
    }
  }

  /** A request may be signed anew, for a later expiry; what it asks for stays what it was. */
  function repeated(known: GuestWork, peer: LinkPeer, incoming: Incoming): Received {
    if (known.spec.request === incoming.envelope) return { ok: true, taken: incoming.sequence }
    const options = { peer: peer.peer, ownBundle: peer.own.bundle, now: clock.now(), ignoreExpiry: true }
    const before = openMessage('Request', known.spec.request, options)
    const now = openMessage('Request', incoming.envelope, options)
    const same =
      known.spec.peerRef.name === peer.name &&
      known.spec.requestId === incoming.requestId &&
      now.ok &&
      // Keys that were rotated away since do not open it any more; then only its bytes can tell.
      before.ok &&
      JSON.stringify(before.message.work) === JSON.stringify(now.message.work)
    return same
      ? { ok: true, taken: incoming.sequence }
      : refuse('RequestDiffers', 'another request with this id was taken already')
  }

  async function toGuest(
    peer: LinkPeer,
    incoming: Incoming & { kind: 'Renewal' | 'Cancel' },
    signal: AbortSignal,
  ): Promise<Received> {
    const name = guestWorkName(peer.name, incoming.requestId)
    const guest =
      guests.get({ namespace, name }) ??
      (await client.get(guestWorks, { namespace, name }, { signal, timeoutSeconds: 10 }))
    if (guest?.spec.peerRef.name !== peer.name) {
      // Nothing of that id is here or will be: whoever cancels does not send the request any more.
      if (incoming.kind === 'Cancel') return { ok: true, taken: incoming.sequence }
      return refuse('UnknownRequest', 'there is no such request')
    }
    return put(incoming, (entry, seen) =>
      writeOwnParts(
        client,
        guestWorks,
        guest,
        (parts) =>
          seen(parts.inbox)
            ? undefined
            : { ...parts, inbox: withEntry(parts.inbox, { ...entry, kind: incoming.kind }) },
        signal,
      ),
    )
  }

  async function toRequester(
    peer: LinkPeer,
    incoming: Incoming & { kind: 'Answer' | 'RenewalAsk' | 'Report' },
    signal: AbortSignal,
  ): Promise<Received> {
    const work = works.byIndex('request', incoming.requestId).find(({ spec }) => spec.peerRef.name === peer.name)
    if (work === undefined) return refuse('UnknownRequest', 'there is no such request')
    // A tombstone: nobody waits for the message any more.
    if (work.spec.cancelled !== undefined) return { ok: true, taken: incoming.sequence }
    return put(incoming, (entry, seen) =>
      writeOwnParts(
        client,
        remoteWorks,
        work,
        (parts) =>
          seen(parts.inbox)
            ? undefined
            : { ...parts, inbox: withEntry(parts.inbox, { ...entry, kind: incoming.kind }) },
        signal,
      ),
    )
  }

  async function put(
    { kind, sequence, envelope }: Incoming,
    write: (
      entry: { sequence: number; envelope: string },
      seen: (inbox: readonly { kind: string; sequence: number }[] | undefined) => boolean,
    ) => Promise<boolean>,
  ): Promise<Received> {
    let taken = sequence
    const written = await write({ sequence, envelope }, (inbox) => {
      const newest = entryOf(inbox, kind)?.sequence ?? -1
      taken = Math.max(newest, sequence)
      return newest >= sequence
    })
    return written ? { ok: true, taken } : refuse('UnknownRequest', 'there is no such request')
  }

  function recentOf(peerName: string): Map<string, number> {
    const recent = created.get(peerName) ?? new Map<string, number>()
    created.set(peerName, recent)
    for (const [name, at] of recent) {
      const listed = guests.get({ namespace, name }) !== undefined
      if (listed || clock.monotonic() - at > rememberedMilliseconds) recent.delete(name)
    }
    return recent
  }

  return {
    async take(peer, incoming, signal) {
      try {
        const received = await take(peer, incoming, signal)
        if (received.ok) metrics.received(incoming.kind)
        else {
          const { reason, message } = received
          refusals.refused({ reason, message, peer: peer.name, what: incoming.kind })
        }
        return received
      } catch (error) {
        if (error instanceof CallError) throw error
        throw new CallError(codes.unavailable, 'TryLater', 'messages cannot be kept now', messageOf(error))
      }
    },
  }
}

/** Name of the GuestWork of a request: the peer's name and the id, shortened by a hash where that is too long. */
export function guestWorkName(peerName: string, requestId: string): string {
  const name = `${peerName}-${requestId}`
  if (name.length <= 253) return name
  const hash = createHash('sha256').update(peerName).digest('hex').slice(0, 16)
  return `${peerName.slice(0, 253 - requestId.length - hash.length - 2)}-${hash}-${requestId}`
}

function isOpen({ metadata, status }: Live<GuestWork>): boolean {
  const decision = status?.decision
  return metadata.deletionTimestamp === undefined && decision !== 'Refused' && decision !== 'Ended'
}

function refuse(reason: string, message: string): Received {
  return { ok: false, reason, message }
}
