import type { Registry } from 'prom-client'
import type { GuestWork } from '../api/guest-work.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Identity } from '../identity/identity.ts'
import { spiffe } from '../identity/spiffe.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import { guestWorks, identities, peers, remoteWorks } from '../kube/hansa-resources.ts'
import { startReflector } from '../kube/reflector.ts'
import type { Logger } from '../process/log.ts'
import { startProbes } from '../process/probes.ts'
import type { Caps } from './claims/caps.ts'
import type { LedgerDeps, LedgerTimes } from './deps.ts'
import { followGrants } from './follow-grants.ts'
import { knownPeers } from './known-peers.ts'
import { ledgerMetrics } from './metrics.ts'
import { askThroughGateway } from './peers/ask-peer.ts'
import { startReaders } from './reader/start-readers.ts'
import type { Retention } from './retain.ts'
import { runLedger } from './run-ledger.ts'
import { serveGateways } from './serve-gateways.ts'
import { slimGuest, slimWork } from './slim.ts'
import type { LedgerStore } from './store/store.ts'

export type ServingSettings = {
  host: string
  namespace: string
  trustDomain: string
  port: number
  /** For auditors. */
  auditorsPort: number
  probesPort: number
  stateDir: string
  /** Where our gateways take messages for peers. */
  gatewayUrl: string
  times: LedgerTimes
  caps: Caps
  retention: Retention
}

export type ServingDeps = {
  identity: Identity
  client: KubeClient
  store: LedgerStore
  sign: LedgerDeps['sign']
  log: Logger
  registry: Registry
  clock?: Clock
  random?: () => number
}

export type Ledger = {
  /** For gateways. */
  url: string
  probesUrl: string
  auditorsUrl: string
  problem(): string | undefined
  close(): Promise<void>
}

/** Serves gateways and runs the rounds of a ledger, on open books. Resolves once it listens. */
export async function serveLedger(settings: ServingSettings, deps: ServingDeps): Promise<Ledger> {
  const { identity, client, store, sign, log, registry, clock = systemClock, random = Math.random } = deps
  const { host, namespace, trustDomain } = settings
  const stopping = new AbortController()
  const { signal } = stopping
  const reflecting = { client, log, clock, random, registry }
  const reflectors = {
    peers: startReflector<Peer>(reflecting, { resource: peers }, signal),
    identities: startReflector<OwnerIdentity>(reflecting, { resource: identities }, signal),
    works: startReflector<RemoteWork>(reflecting, { resource: remoteWorks, transform: slimWork }, signal),
    guests: startReflector<GuestWork>(reflecting, { resource: guestWorks, namespace, transform: slimGuest }, signal),
  }
  const all = Object.values(reflectors)
  const grants = followGrants({
    guests: reflectors.guests.store,
    works: reflectors.works.store,
    peers: reflectors.peers.store,
    ...{ store, clock, log },
  })
  const gatewayUri = spiffe(trustDomain, namespace, 'hansa-gateway')
  const { ask, close: closeAsking } = askThroughGateway({ url: settings.gatewayUrl, uri: gatewayUri, identity })
  const known = knownPeers({ peers: reflectors.peers.store, identities: reflectors.identities.store, clock })
  const running = runLedger({
    store,
    peers: known,
    ...{ sign, ask, times: settings.times, caps: settings.caps, retention: settings.retention, clock, log, signal },
    metrics: ledgerMetrics(registry),
  })
  let lost: string | undefined
  store.lost.catch((error: unknown) => {
    lost = error instanceof Error ? error.message : 'the books were taken over'
  })
  const isSynced = () => all.every((each) => each.store.isSynced())
  const problem = () =>
    signal.aborted
      ? 'shutting down'
      : (lost ?? running.problem() ?? (isSynced() ? undefined : 'objects are not known yet'))
  const probes = await startProbes({ host, port: settings.probesPort, ready: problem, registry })
  const server = await serveGateways({
    ...{ host, port: settings.port, identity, gatewayUri, log },
    takeRecords: running.takeRecords,
    takeMessage: running.takeMessage,
  })
  const auditors = await startReaders({
    ...{ host, port: settings.auditorsPort, identity, namespace, client, stateDir: settings.stateDir },
    ...{ store, peers: known, sign, clock, log, random },
  })
  log.info({ url: server.url, auditors: auditors.url, probes: probes.url }, 'ledger listens')
  return {
    url: server.url,
    probesUrl: probes.url,
    auditorsUrl: auditors.url,
    problem,
    close: async () => {
      stopping.abort()
      await Promise.all([server.close(), auditors.close()])
      grants.stop()
      await Promise.all([running.ended, grants.flush(), ...all.map((each) => each.stop())])
      await closeAsking()
      await probes.close()
    },
  }
}
