import { X509Certificate } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import type { ClientHttp2Session, Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { dialPeer } from '../../federation/dial-peer.ts'
import { acceptorTls, type Pairing, pairingOfServerName, problemOfPeer } from '../../federation/peer-tls.ts'
import { type Clock, sleep } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { DataPeer, DataPeers } from './data-peers.ts'
import { callSession, isSilent, serveSession } from './data-session.ts'
import type { DataMetrics } from './metrics.ts'

/** Who calls on a connection: on `data` its dialler, on `reverse` its acceptor, so that a member behind NAT can be called too. */
export const dataAlpn = { data: 'hansa-data/1', reverse: 'hansa-data-reverse/1' } as const
type Purpose = keyof typeof dataAlpn

type Connection = {
  readonly peerName: string
  readonly socket: TLSSocket
  readonly session: Http2Session
  readonly inbound: boolean
  /** Set where we call. */
  readonly caller: ClientHttp2Session | undefined
  /** Another is being opened in its place. */
  isOld: boolean
}

export type Connections = {
  /** `host:port` of the listener. */
  readonly address: string
  /** A session on which this peer can be called; undefined when there is none now. */
  callerOf(peerName: string): ClientHttp2Session | undefined
  /** Whether the gateway of a peer has not been heard of for a moment on the connection on which we call it. */
  isSilent(peerName: string): boolean
  /** Of each connection its peer, and whose calls go over it. */
  list(): Iterable<[peer: string, calls: 'ours' | 'theirs']>
  close(): Promise<void>
}

export type ConnectionDeps = {
  host: string
  port: number
  peers: DataPeers
  streams: number
  handle: (peerName: string, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
  clock: Clock
  random: () => number
  log: Logger
  metrics: DataMetrics
}

const maxConnections = 512
const maxInboundPerPeer = 8
const handshakeMs = 10_000
const dialSeconds = 15
const longestPauseMs = 30_000
/** Connections do not grow old, so that certificates are shown anew; both sides' are valid for longer. */
const longestLifeMs = 3_600_000
// Requests of users may take up to an hour; what is not over then is repeated or cut.
const drainMs = 300_000

/** Keeps connections with the gateways of all peers: dials those that we reach, takes those that reach us. */
export async function startConnections(deps: ConnectionDeps): Promise<Connections> {
  const { peers, clock, random, log } = deps
  const open = new Set<Connection>()
  const dialling = new Map<string, AbortController>()
  const stopping = new AbortController()
  const { signal } = stopping
  const wake = new EventEmitter()
  wake.setMaxListeners(0)

  const of = (peerName: string) => [...open].filter((each) => each.peerName === peerName)
  const isUsable = ({ session }: Connection) => !session.closed && !session.destroyed

  function add({ peerName, certPem }: Pairing, socket: TLSSocket, purpose: Purpose, inbound: boolean): Connection {
    socket.setNoDelay(true)
    const weCall = inbound === (purpose === 'reverse')
    const caller = weCall ? callSession(socket, { clock }) : undefined
    const session =
      caller ??
      serveSession(socket, {
        streams: deps.streams,
        clock,
        handle: (stream, headers) => deps.handle(peerName, stream, headers),
      })
    const connection: Connection = { peerName, socket, session, inbound, caller, isOld: false }
    open.add(connection)
    replaced(connection)
    // Whoever dialled goes first, since only they can open another.
    const share = inbound ? 0.95 + random() * 0.05 : 0.75 + random() * 0.15
    const cancelRetire = clock.after(lifeOf(socket, certPem) * share, () => replace(connection))
    session.on('close', () => {
      cancelRetire()
      open.delete(connection)
      log.info({ peer: peerName, purpose, inbound }, 'a data connection has ended')
    })
    log.info({ peer: peerName, purpose, inbound, address: socket.remoteAddress }, 'data connection open')
    return connection
  }

  /** Opens another before this one takes no more calls, so that there is never none. */
  function replace(connection: Connection): void {
    connection.isOld = true
    if (connection.inbound || peers.get(connection.peerName)?.dial === undefined) retire(connection)
    else {
      wake.emit('old')
      // Where no other comes about.
      const cancel = clock.after(drainMs, () => retire(connection))
      connection.session.on('close', cancel)
    }
  }

  /** Retires those of the same kind that are old. */
  function replaced({ peerName, caller }: Connection): void {
    for (const each of of(peerName)) {
      if (each.isOld && (each.caller === undefined) === (caller === undefined)) retire(each)
    }
  }

  /** No more calls; ends with those under way, or is cut after a while: transfers go on from where they were cut. */
  function retire({ session }: Connection): void {
    if (session.destroyed) return
    session.close()
    const cancel = clock.after(drainMs, () => session.destroy())
    session.on('close', cancel)
  }

  /** Cuts what is not allowed any more, and dials what is newly known. Called on each change, and every few seconds. */
  function look(): void {
    for (const { peerName, socket, session } of open) {
      const problem = problemOfPeer(socket, peers.get(peerName)?.pairing)
      if (problem === undefined || session.destroyed) continue
      log.warn({ peer: peerName, problem }, 'cut a data connection')
      deps.metrics.refused('cut')
      session.destroy()
      socket.destroy()
    }
    for (const peer of peers.list()) {
      if (peer.dial === undefined) continue
      for (const purpose of ['data', 'reverse'] as const) keepDialled(peer.name, purpose)
    }
    for (const [key, stop] of dialling) {
      if (peers.get(key.slice(key.indexOf(' ') + 1))?.dial !== undefined) continue
      stop.abort()
      dialling.delete(key)
    }
  }

  function keepDialled(peerName: string, purpose: Purpose): void {
    const key = `${purpose} ${peerName}`
    if (dialling.has(key) || signal.aborted) return
    const stop = new AbortController()
    dialling.set(key, stop)
    dialForever(peerName, purpose, AbortSignal.any([signal, stop.signal])).catch((error: unknown) => {
      dialling.delete(key)
      if (!stop.signal.aborted && !signal.aborted) log.error({ error: messageOf(error) }, 'dialling has failed')
    })
  }

  async function dialForever(peerName: string, purpose: Purpose, until: AbortSignal): Promise<void> {
    for (let failures = 0; !until.aborted; ) {
      // One of either kind serves: the other side may have opened it.
      const wantsCaller = purpose === 'data'
      const one = of(peerName).find(
        (each) => isUsable(each) && !each.isOld && (each.caller !== undefined) === wantsCaller,
      )
      if (one !== undefined) {
        const over = new AbortController()
        const changed = once(wake, 'old', { signal: over.signal }).catch(() => undefined)
        const ended = once(one.session, 'close', { signal: over.signal }).catch(() => undefined)
        await Promise.race([ended, changed, sleep(clock, 5000, AbortSignal.any([until, over.signal]))])
        over.abort()
        continue
      }
      const peer = peers.get(peerName)
      if (peer?.dial !== undefined) {
        try {
          await dial(peer, peer.dial, purpose, until)
          failures = 0
          continue
        } catch (error) {
          if (until.aborted) return
          const level = failures === 0 ? 'warn' : 'debug'
          log[level]({ peer: peerName, purpose, error: messageOf(error) }, "the peer's gateway cannot be dialled")
        }
      }
      failures += 1
      await sleep(clock, Math.min(longestPauseMs, 500 * 2 ** Math.min(failures, 16)) * (0.5 + random()), until)
    }
  }

  async function dial(
    peer: DataPeer,
    { address, proxy }: NonNullable<DataPeer['dial']>,
    purpose: Purpose,
    until: AbortSignal,
  ): Promise<void> {
    const options = { address, proxy, alpn: dataAlpn[purpose], timeoutSeconds: dialSeconds, signal: until }
    add(peer.pairing, await dialPeer(peer.pairing, options), purpose, false)
  }

  function accept(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy())
    const pairing = pairingOfServerName(socket.servername, peers.find)
    const problem = problemOfPeer(socket, pairing)
    if (pairing === undefined || problem !== undefined) {
      log.warn({ address: socket.remoteAddress, peer: pairing?.peerName, problem }, 'refused a data connection')
      deps.metrics.refused('not a peer')
      socket.destroy()
      return
    }
    const { peerName } = pairing
    const purpose = socket.alpnProtocol === dataAlpn.reverse ? 'reverse' : 'data'
    if (of(peerName).filter(({ inbound }) => inbound).length >= maxInboundPerPeer || signal.aborted) {
      log.warn({ peer: peerName }, 'refused a data connection: the peer has too many')
      deps.metrics.refused('too many')
      socket.destroy()
      return
    }
    add(pairing, socket, purpose, true)
  }

  const server = createServer(
    { ...acceptorTls(peers.find, Object.values(dataAlpn)), handshakeTimeout: handshakeMs },
    accept,
  )
  server.maxConnections = maxConnections
  server.on('tlsClientError', (error, socket) => {
    log.info({ address: socket.remoteAddress, error: messageOf(error) }, 'a data connection failed to prove a peer')
    deps.metrics.refused('handshake')
    socket.destroy()
  })
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'the data listener failed'))
  const unsubscribe = peers.subscribe(look)
  look()

  /** A session on which a peer can be called; one that grows old only where there is no other. */
  function callerOf(peerName: string): ClientHttp2Session | undefined {
    let found: Connection | undefined
    for (const each of open) {
      if (each.caller === undefined || each.peerName !== peerName || !isUsable(each)) continue
      if (!each.isOld) return each.caller
      found = each
    }
    return found?.caller
  }

  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    address: `${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    callerOf,
    isSilent: (peerName) => {
      const session = callerOf(peerName)
      return session !== undefined && isSilent(session, clock.monotonic())
    },
    list: () => [...open].map(({ peerName, caller }) => [peerName, caller === undefined ? 'theirs' : 'ours']),
    close: async () => {
      stopping.abort()
      unsubscribe()
      const closed = once(server, 'close')
      server.close()
      for (const { session, socket } of open) {
        session.destroy()
        socket.destroy()
      }
      await closed
    },
  }
}

/** Until either certificate is about to end, an hour at most. */
function lifeOf(socket: TLSSocket, certPem: string): number {
  const ends = [Date.parse(socket.getPeerCertificate().valid_to), new X509Certificate(certPem).validToDate.getTime()]
  return Math.max(1000, Math.min(longestLifeMs, ...ends.map((end) => end - Date.now())))
}
