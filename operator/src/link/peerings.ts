import type { TLSSocket } from 'node:tls'
import { tokenBuckets } from '../identity/token-buckets.ts'
import type { Clock } from '../kube/clock.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { type LinkConnection, openConnection, type Purpose } from './connection.ts'
import type { LinkLimits } from './limits.ts'
import { type LinkPeer, problemOfCertificate } from './link-peer.ts'
import type { LinkMetrics } from './metrics.ts'
import type { Direction } from './principal.ts'
import type { Refusals } from './refusals.ts'
import type { Roster } from './roster.ts'
import { CallError, codes, isUnavailable } from './transport/call-error.ts'
import type { Route } from './transport/callee.ts'
import { roles } from './wire/messages.ts'
import { hello, type Method } from './wire/methods.ts'

const helloSeconds = 10
const attempts = 3
const goodbyeMilliseconds = 3000

/** Us among the replicas of our link. */
export type Replica = { readonly name: string; readonly count: number; readonly versions: readonly number[] }

/** All connections to peers. */
export type Peerings = {
  /** Takes a connection whose handshake is done; undefined where it was refused and closed. */
  admit(
    socket: TLSSocket,
    peer: LinkPeer,
    options: { direction: Direction; purpose: Purpose; certificate: Buffer; ownEnd: number },
  ): LinkConnection | undefined
  /** Calls a peer over whichever of its connections can. Throws CallError. */
  call<Request, Response>(
    peerName: string,
    method: Method<Request, Response>,
    request: Request | ((version: number) => Request),
    options: { signal: AbortSignal; timeoutSeconds: number },
  ): Promise<{ response: Response; version: number }>
  of(peerName: string): readonly LinkConnection[]
  canCall(peerName: string): boolean
  /** Calls back when connections of a peer have come, gone or been greeted. */
  subscribe(listener: (peerName: string) => void): () => void
  /** To be called when a connection of the peer has been greeted. */
  changed(peerName: string): void
  /** Counts a call of a peer; false when it makes too many. */
  mayCall(peerName: string): boolean
  /** Retires all. */
  close(): Promise<void>
}

export type PeeringDeps = {
  roster: Roster
  replica: Replica
  limits: LinkLimits
  clock: Clock
  random: () => number
  log: Logger
  metrics: LinkMetrics
  refusals: Refusals
  routes: (connection: LinkConnection) => readonly Route[]
  /** Tells a peer that we leave or froze it, on a connection that is about to be cut. */
  sayGoodbye: (peer: LinkPeer, connection: LinkConnection) => Promise<boolean>
}

export function createPeerings(deps: PeeringDeps): Peerings {
  const { roster, replica, limits, clock, random, log, metrics, refusals } = deps
  const pools = new Map<string, Set<LinkConnection>>()
  const listeners = new Set<(peerName: string) => void>()
  const unfinished = new Map<string, number>()
  const calls = tokenBuckets({ burst: limits.callBurst, perSecond: limits.callsPerSecond, maxKeys: 10_000 })
  const arrivals = tokenBuckets({
    ...{ burst: limits.newConnectionBurst, perSecond: limits.newConnectionsPerSecond, maxKeys: 10_000 },
  })
  const frames = tokenBuckets({
    ...{ burst: limits.frames.frameBurst, perSecond: limits.frames.framesPerSecond, maxKeys: 10_000 },
  })
  const closing = new AbortController()
  const stopFollowing = roster.subscribe(recheck)

  const pool = (peerName: string) => pools.get(peerName) ?? new Set<LinkConnection>()
  const changed = (peerName: string) => {
    metrics.connections(peerName, [...pool(peerName)])
    for (const listener of listeners) listener(peerName)
  }

  /** Cuts what is not allowed any more: another key, a revoked certificate, a frozen peer. */
  function recheck(peerName: string): void {
    const peer = roster.get(peerName)
    for (const connection of pool(peerName)) {
      if (peer?.mode === 'Closing' && isSame(connection, peer)) {
        leave(peer, connection)
        continue
      }
      const problem = problemOf(peer, connection)
      if (problem === undefined) continue
      log.warn({ peer: peerName, reason: problem, direction: connection.direction }, 'cut a connection')
      metrics.refused(problem)
      connection.cut()
    }
  }

  function problemOf(peer: LinkPeer | undefined, connection: LinkConnection): string | undefined {
    if (peer === undefined || !isSame(connection, peer)) return 'PeerGone'
    return problemOfCertificate(connection.certificate, peer, clock.now())
  }

  const leaving = new WeakSet<LinkConnection>()
  function leave(peer: LinkPeer, connection: LinkConnection): void {
    const cut = () => {
      if (leaving.has(connection)) log.info({ peer: peer.name, reason: 'Suspended' }, 'cut a connection')
      connection.cut()
    }
    if (!leaving.has(connection)) {
      leaving.add(connection)
      const cancel = clock.after(goodbyeMilliseconds, cut)
      void connection.closed.then(cancel)
    }
    if (connection.caller === undefined) return
    // The operator writes the goodbye a moment after the suspension shows, which brings us here again.
    deps.sayGoodbye(peer, connection).then(
      (said) => {
        if (said) for (const each of pool(peer.name)) if (leaving.has(each)) each.cut()
      },
      (error: unknown) => log.debug({ peer: peer.name, error: messageOf(error) }, 'could not say goodbye'),
    )
  }

  function admit(
    socket: TLSSocket,
    peer: LinkPeer,
    given: { direction: Direction; purpose: Purpose; certificate: Buffer; ownEnd: number },
  ): LinkConnection | undefined {
    const { direction, purpose, certificate } = given
    const problem = admissionProblem(peer, direction, certificate)
    if (problem !== undefined) {
      refusals.refused({ reason: problem, peer: peer.name, what: `hansa-${purpose}` })
      socket.destroy()
      return undefined
    }
    const principal = Object.freeze({
      peerName: peer.name,
      trustDomain: peer.trustDomain,
      clusterName: peer.clusterName,
    })
    const now = clock.now()
    const end = Math.min(given.ownEnd, Date.parse(certificateEnd(socket)))
    const connection = openConnection(socket, {
      ...{ principal, direction, purpose, certificate, limits, clock, routes: deps.routes },
      // Between half and two thirds of the time left, so that a few attempts fit before the end.
      renewAt: now + (end - now) * (0.5 + random() / 6),
      unfinished: (difference) => {
        const bytes = Math.max(0, (unfinished.get(peer.name) ?? 0) + difference)
        unfinished.set(peer.name, bytes)
        return bytes <= limits.unfinishedBytes
      },
      mayFrame: () => frames.take(peer.name) === 0,
      onProblem: (reason) => refusals.refused({ reason, peer: peer.name, what: `hansa-${purpose}` }),
      onRefused: (path, reason) => refusals.refused({ reason, peer: peer.name, what: path }),
    })
    const connections = pools.get(peer.name) ?? new Set()
    pools.set(peer.name, connections.add(connection))
    void connection.closed.then(() => {
      connections.delete(connection)
      if (connections.size === 0 && pools.get(peer.name) === connections) pools.delete(peer.name)
      changed(peer.name)
    })
    if (connection.caller !== undefined) greet(connection, peer.name)
    else expectGreeting(connection, peer.name)
    changed(peer.name)
    return connection
  }

  function admissionProblem(peer: LinkPeer, direction: Direction, certificate: Buffer): string | undefined {
    if (closing.signal.aborted) return 'ShuttingDown'
    if (peer.mode !== 'Open') return peer.mode === 'Closing' ? 'Suspended' : 'BundleExpired'
    const problem = problemOfCertificate(certificate, peer, clock.now())
    if (problem !== undefined || direction === 'Outbound') return problem
    const inbound = [...pool(peer.name)].filter((each) => each.direction === 'Inbound')
    if (inbound.length >= limits.connectionsPerPeer) return 'TooManyConnections'
    return arrivals.take(peer.name) === 0 ? undefined : 'TooManyConnections'
  }

  function greet(connection: LinkConnection, peerName: string): void {
    const role = roles[connection.direction === 'Outbound' ? 'Dialler' : 'Acceptor']
    const { versions, name, count } = replica
    connection.caller
      ?.call(
        hello,
        { versions, replica: name, replicas: count, role },
        { signal: closing.signal, timeoutSeconds: helloSeconds },
      )
      .then((answer) => {
        const known = versions.includes(answer.version)
        if (!known && answer.version !== 0) throw new CallError(codes.internal, 'VersionUnknown', 'not offered')
        connection.greeted({ ...answer, replicas: Math.min(64, Math.max(1, answer.replicas)) })
        changed(peerName)
      })
      .catch((error: unknown) => {
        log.info({ peer: peerName, direction: connection.direction, error: messageOf(error) }, 'no greeting')
        connection.cut()
      })
  }

  /** Who has come and says nothing goes. */
  function expectGreeting(connection: LinkConnection, peerName: string): void {
    const cancel = clock.after(helloSeconds * 1000, () => {
      if (connection.greeting() !== undefined) return
      refusals.refused({ reason: 'NoGreeting', peer: peerName, what: hello.path })
      connection.cut()
    })
    void connection.closed.then(cancel)
  }

  function callers(peerName: string): LinkConnection[] {
    return [...pool(peerName)].filter((each) => each.usable()).sort((a, b) => b.openedAt - a.openedAt)
  }

  return {
    admit,
    of: (peerName) => [...pool(peerName)],
    canCall: (peerName) => callers(peerName).length > 0,
    changed,
    mayCall: (peerName) => calls.take(peerName) === 0,
    async call(peerName, method, request, options) {
      for (let attempt = 1; ; attempt++) {
        const [connection] = callers(peerName)
        const version = connection?.greeting()?.version ?? 0
        if (roster.get(peerName)?.mode !== 'Open' || connection?.caller === undefined) {
          throw new CallError(codes.unavailable, 'NotConnected', `there is no connection to the peer ${peerName}`)
        }
        // A function is never a message.
        const message = typeof request === 'function' ? (request as (version: number) => never)(version) : request
        try {
          const response = await connection.caller.call(method, message, options)
          metrics.called(method.path, 'OK')
          return { response, version }
        } catch (error) {
          // The other side may have been about to close it; everything that we call can be repeated.
          const again = isUnavailable(error) && attempt < attempts && !options.signal.aborted
          if (!again) {
            metrics.called(method.path, error instanceof CallError ? error.reason : 'Error')
            throw error
          }
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing.abort()
      stopFollowing()
      const all = [...pools.values()].flatMap((connections) => [...connections])
      for (const connection of all) connection.retire()
      const cancel = clock.after(goodbyeMilliseconds, () => {
        for (const connection of all) connection.cut()
      })
      await Promise.all(all.map(({ closed }) => closed))
      cancel()
    },
  }
}

function isSame({ principal }: LinkConnection, peer: LinkPeer): boolean {
  return principal.trustDomain === peer.trustDomain && principal.clusterName === peer.clusterName
}

function certificateEnd(socket: TLSSocket): string {
  return socket.getPeerCertificate().valid_to
}
