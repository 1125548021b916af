import type { Registry } from 'prom-client'
import type { GuestWork } from '../../api/guest-work.ts'
import type { OwnerIdentity } from '../../api/identity.ts'
import type { Peer } from '../../api/peer.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import type { Identity } from '../../identity/identity.ts'
import { parseSpiffe, spiffe } from '../../identity/spiffe.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { guestWorks, identities, peers, remoteWorks } from '../../kube/hansa-resources.ts'
import { startReflector } from '../../kube/reflector.ts'
import type { Store } from '../../kube/store.ts'
import { HansaError } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { type GuestTerms, readGuestTerms } from '../work/guest-terms.ts'
import { type Connections, startConnections } from './connections.ts'
import { followDataPeers } from './data-peers.ts'
import { ledgerToPeer } from './ledger-to-peer.ts'
import { type PeerLimits, PeerUse } from './limits.ts'
import { dataMetrics } from './metrics.ts'
import { ownBlobs } from './own-blobs.ts'
import { followOwnCertificates, type StartCredentials } from './own-certificates.ts'
import { servePeerBlobs } from './peer-blobs.ts'
import { peerToLedger } from './peer-to-ledger.ts'
import { slimGuestWork, slimRemoteWork } from './promised.ts'
import { createBlobServer } from './serve-blobs.ts'
import { type PeerHandler, refusePeer, servePeer } from './serve-peer.ts'

export type DataPathSettings = {
  host: string
  /** For gateways of peers. */
  port: number
  /** For our fetch worker. */
  internalPort: number
  fetchUrl: string
  /** Our ledger; undefined where none is kept. */
  ledgerUrl?: string | undefined
  trustDomain: string
  limits: PeerLimits
}

export type DataPathDeps = {
  identity: Identity
  client: KubeClient
  /** Gets our certificate of an Identity. */
  startCredentials: StartCredentials
  clock: Clock
  random: () => number
  log: Logger
  registry: Registry
}

export type DataPath = {
  /** `host:port` for gateways of peers. */
  address: string
  /** For the fetch worker. */
  url: string
  limits: PeerLimits
  callerOf: Connections['callerOf']
  isSilent: Connections['isSilent']
  /** What peers run for us. */
  works: Store<RemoteWork, 'uid'>
  /** What we run for peers. */
  guests: Store<GuestWork, 'requestId'>
  termsOf: (guest: GuestWork) => GuestTerms | undefined
  /** Says who answers requests of peers' users. */
  serveWork(handler: PeerHandler): void
  close(): Promise<void>
}

/** Starts what gateways of different owners have to do with each other: see docs/data-path.md. */
export async function startDataPath(settings: DataPathSettings, deps: DataPathDeps): Promise<DataPath> {
  const { identity, client, clock, random, log, registry } = deps
  const own = parseSpiffe(identity.uri)
  if (own === undefined) throw new HansaError('InvalidName', `the gateway's identity ${identity.uri} has no namespace`)
  const fetchUri = spiffe(settings.trustDomain, own.namespace, 'hansa-fetch')
  const stopping = new AbortController()
  const { signal } = stopping
  const reflectorDeps = { client, log, clock, random, registry }
  const peerObjects = startReflector<Peer>(reflectorDeps, { resource: peers }, signal)
  const identityObjects = startReflector<OwnerIdentity>(reflectorDeps, { resource: identities }, signal)
  const works = startReflector<RemoteWork, 'uid'>(
    reflectorDeps,
    {
      resource: remoteWorks,
      transform: slimRemoteWork,
      indexes: { uid: ({ metadata }) => [metadata.uid] },
    },
    signal,
  )
  // What is left of a request once it was read.
  const terms = new WeakMap<GuestWork, GuestTerms>()
  const guests = startReflector<GuestWork, 'requestId'>(
    reflectorDeps,
    {
      resource: guestWorks,
      namespace: own.namespace,
      transform: (guest) => {
        const read = readGuestTerms(guest)
        const slim = slimGuestWork(guest)
        if (read !== undefined) terms.set(slim, read)
        return slim
      },
      indexes: { requestId: ({ spec }) => [spec.requestId] },
    },
    signal,
  )
  const certificates = followOwnCertificates({
    identities: identityObjects.store,
    start: deps.startCredentials,
    clock,
    log,
  })
  const known = followDataPeers({
    peers: peerObjects.store,
    identities: identityObjects.store,
    certificates,
    clock,
  })
  let list: () => Iterable<[string, 'ours' | 'theirs']> = () => []
  const metrics = dataMetrics(registry, () => list())
  const blobs = createBlobServer({
    works: works.store,
    open: ownBlobs({ url: settings.fetchUrl, uri: fetchUri, identity }),
    use: new PeerUse(settings.limits, clock),
    limits: settings.limits,
    clock,
    log,
    metrics,
  })
  const unsubscribe = works.store.subscribe(() => blobs.recheck())
  let serveWork: PeerHandler = (_peer, stream) => {
    refusePeer(stream, { status: 503, reason: 'Draining', message: 'the gateway does not serve yet' })
  }
  const ledgerUri = spiffe(settings.trustDomain, own.namespace, 'hansa-ledger')
  const ledger =
    settings.ledgerUrl === undefined
      ? undefined
      : peerToLedger({ url: settings.ledgerUrl, uri: ledgerUri, identity, log })
  const connections = await startConnections({
    host: settings.host,
    port: settings.port,
    peers: known,
    streams: settings.limits.maxStreams + settings.limits.maxRequests,
    handle: servePeer({
      '/v1/blobs/': blobs.handle,
      '/v1/work/': (...call) => serveWork(...call),
      ...(ledger !== undefined && { '/v1/ledger': ledger.handle }),
    }),
    clock,
    random,
    log,
    metrics,
  })
  list = connections.list
  const internal = await servePeerBlobs({
    host: settings.host,
    port: settings.internalPort,
    identity,
    fetchUri,
    works: guests.store,
    ledger: ledger && ledgerToPeer({ ledgerUri, callerOf: connections.callerOf, problemOf: known.problemOf, clock }),
    callerOf: connections.callerOf,
    problemOf: known.problemOf,
    clock,
    log,
    metrics,
  })
  log.info({ address: connections.address, internal: internal.url }, 'data path between owners listens')
  return {
    address: connections.address,
    url: internal.url,
    limits: settings.limits,
    callerOf: connections.callerOf,
    isSilent: connections.isSilent,
    works: works.store,
    guests: guests.store,
    termsOf: (guest) => terms.get(guest),
    serveWork: (handler) => {
      serveWork = handler
    },
    close: async () => {
      await internal.close()
      await connections.close()
      await ledger?.close()
      unsubscribe()
      known.stop()
      await certificates.close()
      stopping.abort()
      await Promise.all([peerObjects, identityObjects, works, guests].map((each) => each.stop()))
    },
  }
}
