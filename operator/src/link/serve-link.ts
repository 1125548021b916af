import type { Registry } from 'prom-client'
import type { GuestWork } from '../api/guest-work.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { openMessage } from '../federation/open-message.ts'
import type { OwnerCredentials } from '../federation/owner-credentials.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import { guestWorks, identities, peers, remoteWorks } from '../kube/hansa-resources.ts'
import { startReflector } from '../kube/reflector.ts'
import type { Live } from '../kube/resource.ts'
import type { Logger } from '../process/log.ts'
import { startProbes } from '../process/probes.ts'
import { startAcceptor } from './acceptor.ts'
import { createBundleExchange } from './bundle-exchange.ts'
import { sayTo, startPresenter } from './courier/presenter.ts'
import { createReceiver } from './courier/receiver.ts'
import { startReporter } from './courier/reporter.ts'
import { startSender } from './courier/sender.ts'
import { createStandings } from './courier/standings.ts'
import { type Dialler, startDialler } from './dialler.ts'
import { createHandlers } from './handlers.ts'
import { type LinkLimits, linkLimits } from './limits.ts'
import { createLinkMetrics } from './metrics.ts'
import type { OwnCertificates } from './own-certificates.ts'
import { followOwnerCertificates } from './owner-certificates.ts'
import { createPeerings, type Peerings } from './peerings.ts'
import { createRefusals } from './refusals.ts'
import { createRoster } from './roster.ts'
import { protocolVersions } from './versions.ts'

export type ServingSettings = {
  readonly host: string
  readonly port: number
  readonly probesPort: number
  readonly namespace: string
  readonly replica: string
  readonly replicas: number
  readonly openRequests: number
}

export type LinkDeps = {
  /** The API server, as the link's service account. */
  client: KubeClient
  /** Our certificates, or how to get and renew that of one Identity. */
  certificates: OwnCertificates | ((identityName: string, signal: AbortSignal) => Promise<OwnerCredentials>)
  log: Logger
  registry: Registry
  clock?: Clock
  random?: () => number
  limits?: LinkLimits
  versions?: readonly number[]
}

export type Link = {
  /** Where peers reach it. */
  port: number
  probesUrl: string
  peerings: Peerings
  close(): Promise<void>
}

/** Serves peers and carries messages between them and the API server. Resolves once it listens and knows its objects. */
export async function serveLink(settings: ServingSettings, deps: LinkDeps, parent: AbortSignal): Promise<Link> {
  const { client, log, registry, clock = systemClock, random = Math.random } = deps
  const limits = { ...(deps.limits ?? linkLimits), openRequests: settings.openRequests }
  const stopping = new AbortController()
  const signal = AbortSignal.any([parent, stopping.signal])
  const replica = { name: settings.replica, count: settings.replicas, versions: deps.versions ?? protocolVersions }
  let problem: string | undefined = 'peers are not known yet'
  const probes = await startProbes({
    host: settings.host,
    port: settings.probesPort,
    ready: () => problem,
    registry,
  })

  const reflecting = { client, log, clock, random, registry }
  const byPeer = ({ spec }: Live<RemoteWork> | Live<GuestWork>) => [spec.peerRef.name]
  const stores = {
    peers: startReflector(reflecting, { resource: peers }, signal).store,
    identities: startReflector(reflecting, { resource: identities }, signal).store,
    works: startReflector(reflecting, { resource: remoteWorks, indexes: { peer: byPeer, request: requestsOf } }, signal)
      .store,
    guests: startReflector(
      reflecting,
      { resource: guestWorks, namespace: settings.namespace, indexes: { peer: byPeer } },
      signal,
    ).store,
  }
  const metrics = createLinkMetrics(registry)
  const refusals = createRefusals({ log, metrics })
  const followed =
    typeof deps.certificates === 'function'
      ? followOwnerCertificates({ identities: stores.identities, start: deps.certificates, clock, log }, signal)
      : undefined
  const certificates = followed ?? (deps.certificates as OwnCertificates)
  const roster = createRoster({ ...stores, clock, log })

  // Each of these calls back into the others; all are there before the first connection is.
  let dialler: Dialler | undefined
  let report: (peerName: string) => void = () => undefined
  const standings = createStandings({ openMessage, clock, metrics, refusals, onHeard: (name) => report(name) })
  const receiver = createReceiver({
    ...{ client, namespace: settings.namespace, guests: stores.guests, works: stores.works, openMessage },
    ...{ openRequests: limits.openRequests, clock, metrics, refusals },
  })
  const handlers = createHandlers({
    ...{ roster, clock, replica, receiver, standings },
    mayCall: (name) => peerings.mayCall(name),
    onGreeted: (name) => peerings.changed(name),
  })
  const peerings = createPeerings({
    ...{ roster, replica, limits, clock, random, log, metrics, refusals },
    routes: handlers,
    sayGoodbye: async (peer, connection) => {
      const goodbye = standings.ours(peer).filter(({ standing }) => standing === 'Goodbye')
      if (goodbye.length === 0) return false
      await sayTo(connection, goodbye, AbortSignal.timeout(2000))
      return true
    },
  })
  const bundles = createBundleExchange({ clock, log, refusals, onBundle: standings.takeBundle })
  const acceptor = await startAcceptor({
    ...{ host: settings.host, port: settings.port, roster, certificates, peerings, limits, refusals },
    onBundleConnection: bundles.serve,
  })
  const reporter = startReporter(
    {
      ...{ client, peers: stores.peers, roster, peerings, replica, clock, log, registry },
      heard: standings.heard,
      problemOf: (name) => dialler?.problemOf(name),
    },
    signal,
  )
  report = reporter.enqueue
  const sender = startSender(
    { ...{ client, ...stores, roster, peerings, replicaName: replica.name, clock, log, registry, metrics } },
    signal,
  )
  const presenter = startPresenter({ roster, peerings, standings, clock, log }, signal)
  dialler = startDialler({
    ...{ roster, certificates, peerings, bundles, clock, random, log, metrics },
    onProblem: reporter.enqueue,
  })
  const synced = Promise.all(Object.values(stores).map((store) => store.synced)).then(() => {
    problem = undefined
  })
  await Promise.race([synced, new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))])
  log.info({ port: acceptor.port, probes: probes.url }, 'link listens')

  async function shutDown(): Promise<void> {
    problem = 'shutting down'
    await dialler?.close()
    presenter.close()
    await sender.close()
    await peerings.close()
    await acceptor.close()
    // Last, so that the end of the connections is still written.
    await reporter.stop()
    roster.close()
    await followed?.close()
    stopping.abort()
    await probes.close()
  }
  let closing: Promise<void> | undefined
  return {
    port: acceptor.port,
    probesUrl: probes.url,
    peerings,
    close: () => {
      closing ??= shutDown()
      return closing
    },
  }
}

/** Ids under which peers speak of a RemoteWork. */
function requestsOf({ metadata, spec }: Live<RemoteWork>): string[] {
  return spec.cancelled === undefined ? [metadata.uid] : [spec.cancelled.requestId]
}
