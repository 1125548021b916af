import type { Registry } from 'prom-client'
import type { Peer, PeerStatus } from '../../api/peer.ts'
import { apiVersion } from '../../api/resource.ts'
import { steadyBand } from '../../federation/round-trip.ts'
import { createApplier } from '../../kube/apply-if-changed.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { type Controller, type ReconcileResult, source, startController } from '../../kube/controller.ts'
import { peers as peerResource } from '../../kube/hansa-resources.ts'
import type { Live } from '../../kube/resource.ts'
import type { Store } from '../../kube/store.ts'
import type { ManagedFields } from '../../kube/transform.ts'
import type { Logger } from '../../process/log.ts'
import type { DialProblem } from '../dialler.ts'
import type { Peerings, Replica } from '../peerings.ts'
import type { Roster } from '../roster.ts'
import type { Heard } from './standings.ts'

type Entry = NonNullable<PeerStatus['links']>[number]

const managerPrefix = 'hansa-link-'
const seconds = 10
const lookSeconds = 10

/** Writes what this replica knows of each peer into `Peer.status.links`, when it has changed. */
export function startReporter(
  deps: {
    client: KubeClient
    peers: Store<Peer>
    roster: Roster
    peerings: Peerings
    replica: Replica
    heard: (peerName: string) => Heard
    problemOf: (peerName: string) => DialProblem | undefined
    clock: Clock
    log: Logger
    registry: Registry
  },
  signal: AbortSignal,
): Controller {
  const { client, peers, roster, peerings, replica, clock, log, registry } = deps
  const managerOf = (name: string) => `${managerPrefix}${name}`.slice(0, 128)
  const manager = managerOf(replica.name)
  const applier = createApplier(client, manager)
  const versions = new Map<string, number>()

  function entryOf(peer: Live<Peer>): Entry | undefined {
    const { name } = peer.metadata
    const before = peer.status?.links?.find((each) => each.replica === replica.name)
    const known = roster.get(name)
    if (known === undefined && before === undefined) return undefined
    const connections = [...peerings.of(name)].sort((a, b) => b.openedAt - a.openedAt)
    const usable = connections.find((each) => each.usable())
    const greeted = usable ?? connections.find((each) => each.greeting() !== undefined)
    const version = greeted?.greeting()?.version ?? versions.get(name) ?? before?.protocolVersion
    if (version !== undefined) versions.set(name, version)
    const measured = usable?.caller?.roundTrip()
    const roundTrip =
      measured === undefined ? before?.roundTripMilliseconds : steadyBand(measured, before?.roundTripMilliseconds)
    const { bundle, confirmation, offer, goodbye } = { ...kept(before), ...deps.heard(name) }
    return {
      replica: replica.name,
      connected: usable !== undefined,
      direction: usable?.direction ?? 'None',
      ...(usable === undefined && whyNot(name, known?.mode)),
      ...(version !== undefined && { protocolVersion: version }),
      ...(roundTrip !== undefined && { roundTripMilliseconds: roundTrip }),
      ...(bundle !== undefined && { bundle }),
      ...(confirmation !== undefined && { confirmation }),
      ...(offer !== undefined && { offer }),
      ...(goodbye !== undefined && { goodbye }),
    }
  }

  function whyNot(name: string, mode: string | undefined): { reason: string; message: string } {
    if (mode === undefined) return { reason: 'NotVerified', message: 'the Peer is not verified' }
    if (mode === 'Closing') return { reason: 'Suspended', message: 'the Peer or its Identity is suspended, or left' }
    const problem = deps.problemOf(name)
    if (problem !== undefined) return { reason: problem.reason, message: problem.message.slice(0, 1024) }
    if (mode === 'BundleOnly') return { reason: 'BundleExpired', message: 'waiting for a newer bundle of the peer' }
    const [any] = peerings.of(name)
    if (any?.greeting()?.version === 0) return { reason: 'NoCommonVersion', message: 'no common version' }
    return { reason: 'NotConnected', message: 'no connection yet' }
  }

  async function report(name: string, stop: AbortSignal): Promise<ReconcileResult> {
    const peer = peers.get({ name })
    const entry = peer === undefined ? undefined : entryOf(peer)
    if (peer === undefined || entry === undefined) return {}
    const desired = { apiVersion, kind: peerResource.kind, metadata: { name }, status: { links: [entry] } }
    const live = await applier.applyStatus(peerResource, desired, peer, { signal: stop, timeoutSeconds: seconds })
    await forgetGone(live, stop)
    // Round trips are measured all the time, and told when their band is another.
    return entry.connected ? { afterSeconds: lookSeconds } : {}
  }

  /**
   * Entries of pods that are no more: with more of them than replicas, the one that was written longest ago goes. Should its
   * writer live it writes it anew, and the next one is found.
   */
  async function forgetGone(peer: Live<Peer>, stop: AbortSignal): Promise<void> {
    const others = (peer.status?.links ?? []).filter((each) => each.replica !== replica.name)
    if (others.length < replica.count) return
    const metadata: Peer['metadata'] & { managedFields?: (ManagedFields & { time?: string })[] } = peer.metadata
    const timeOf = (name: string) =>
      metadata.managedFields?.find((each) => each.manager === managerOf(name))?.time ?? ''
    const [oldest] = others.map((each) => each.replica).sort((a, b) => timeOf(a).localeCompare(timeOf(b)))
    if (oldest === undefined) return
    const nothing = { apiVersion, kind: peerResource.kind, metadata: { name: peer.metadata.name }, status: {} }
    await client.applyStatus(peerResource, nothing, {
      fieldManager: managerOf(oldest),
      signal: stop,
      timeoutSeconds: seconds,
    })
    log.info({ kind: 'Peer', name: peer.metadata.name, replica: oldest }, 'forgot a replica that is gone')
  }

  const controller = startController(
    { log, clock, registry },
    {
      name: 'link-reporter',
      sources: [source(peers, ({ metadata }) => [metadata.name])],
      reconcile: (name, context) => report(name, context.signal),
      concurrency: 4,
    },
    signal,
  )
  const unsubscribe = [roster.subscribe(controller.enqueue), peerings.subscribe(controller.enqueue)]
  return {
    enqueue: controller.enqueue,
    stop: async () => {
      for (const stop of unsubscribe) stop()
      await controller.stop()
    },
  }
}

/** What an earlier run of this replica wrote. */
function kept(entry: Entry | undefined): Heard {
  if (entry === undefined) return {}
  const { bundle, confirmation, offer, goodbye } = entry
  return {
    ...(bundle !== undefined && { bundle }),
    ...(confirmation !== undefined && { confirmation }),
    ...(offer !== undefined && { offer }),
    ...(goodbye !== undefined && { goodbye }),
  }
}
