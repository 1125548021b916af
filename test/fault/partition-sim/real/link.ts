import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { systemClock as clock } from '@hansa/operator/kube/clock.ts'
import { guestWorks, identities, peers, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { startPresenter } from '@hansa/operator/link/courier/presenter.ts'
import { createReceiver } from '@hansa/operator/link/courier/receiver.ts'
import { startReporter } from '@hansa/operator/link/courier/reporter.ts'
import { startSender } from '@hansa/operator/link/courier/sender.ts'
import { createStandings } from '@hansa/operator/link/courier/standings.ts'
import { createHandlers } from '@hansa/operator/link/handlers.ts'
import { createLinkMetrics } from '@hansa/operator/link/metrics.ts'
import type { Peerings } from '@hansa/operator/link/peerings.ts'
import { createRefusals } from '@hansa/operator/link/refusals.ts'
import { createRoster } from '@hansa/operator/link/roster.ts'
import { CallError, codes } from '@hansa/operator/link/transport/call-error.ts'
import { protocolVersions } from '@hansa/operator/link/versions.ts'
import { Registry } from 'prom-client'
import { testLog as log } from '../../../integration/kube/harness.ts'
import type { Line, Role } from './line.ts'
import { systemNamespace } from './names.ts'

const replica = { name: 'link-0', count: 1, versions: protocolVersions }

/** The link of one owner as `serveLink` puts it together, but with lines of this process in place of TLS. */
export function startLineLink(
  client: KubeClient,
  role: Role,
  lines: ReadonlyMap<string, Line>,
): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const { signal } = stopping
  const registry = new Registry()
  const reflecting = { client, log, registry }
  const byPeer = ({ spec }: Live<RemoteWork> | Live<GuestWork>) => [spec.peerRef.name]
  const stores = {
    peers: startReflector(reflecting, { resource: peers }, signal).store,
    identities: startReflector(reflecting, { resource: identities }, signal).store,
    works: startReflector(reflecting, { resource: remoteWorks, indexes: { peer: byPeer, request: requestsOf } }, signal)
      .store,
    guests: startReflector(
      reflecting,
      { resource: guestWorks, namespace: systemNamespace, indexes: { peer: byPeer } },
      signal,
    ).store,
  }
  const metrics = createLinkMetrics(registry)
  const refusals = createRefusals({ log, metrics })
  const roster = createRoster({ ...stores, clock, log })
  let report: (peerName: string) => void = () => undefined
  const standings = createStandings({ openMessage, clock, metrics, refusals, onHeard: (name) => report(name) })
  const receiver = createReceiver({
    ...{ client, namespace: systemNamespace, guests: stores.guests, works: stores.works, openMessage },
    ...{ openRequests: 1_000, clock, metrics, refusals },
  })
  const peerings = peeringsOver(role, lines)
  const routes = createHandlers({
    ...{ roster, clock, replica, receiver, standings },
    mayCall: () => true,
    onGreeted: () => undefined,
  })
  const reporter = startReporter(
    {
      ...{ client, peers: stores.peers, roster, peerings, replica, clock, log, registry },
      heard: standings.heard,
      problemOf: () => undefined,
    },
    signal,
  )
  report = reporter.enqueue
  const sender = startSender(
    { client, ...stores, roster, peerings, replicaName: replica.name, clock, log, registry, metrics },
    signal,
  )
  const presenter = startPresenter({ roster, peerings, standings, clock, log }, signal)
  for (const [name, line] of lines) line.attach(role, { routes, changed: () => peerings.changed(name) })
  return {
    /** As a crash: what is under way is broken off. */
    async stop() {
      stopping.abort()
      for (const line of lines.values()) line.detach(role)
      presenter.close()
      await Promise.all([sender.close(), reporter.stop()])
      roster.close()
    },
  }
}

function peeringsOver(role: Role, lines: ReadonlyMap<string, Line>): Peerings {
  const listeners = new Set<(peerName: string) => void>()
  const connectionTo = (name: string) => lines.get(name)?.connection(role)
  return {
    admit: () => undefined,
    of: (name) => {
      const connection = connectionTo(name)
      return connection === undefined ? [] : [connection]
    },
    canCall: (name) => connectionTo(name)?.usable() === true,
    changed: (name) => {
      for (const listener of listeners) listener(name)
    },
    mayCall: () => true,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async call(name, method, request, options) {
      const connection = connectionTo(name)
      if (connection?.caller === undefined) {
        throw new CallError(codes.unavailable, 'NotConnected', `there is no connection to the peer ${name}`)
      }
      const version = connection.greeting()?.version ?? 0
      // A function is never a message.
      const message = typeof request === 'function' ? (request as (version: number) => never)(version) : request
      return { response: await connection.caller.call(method, message, options), version }
    },
    close: async () => undefined,
  }
}

function requestsOf({ metadata, spec }: Live<RemoteWork>): string[] {
  return spec.cancelled === undefined ? [metadata.uid] : [spec.cancelled.requestId]
}
