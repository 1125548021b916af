import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls'
import { certificateUri } from '../identity/san.ts'
import { tokenBuckets } from '../identity/token-buckets.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Purpose } from './connection.ts'
import type { LinkLimits } from './limits.ts'
import type { LinkPeer } from './link-peer.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { Peerings } from './peerings.ts'
import type { Refusals } from './refusals.ts'
import type { Roster } from './roster.ts'
import { alpn } from './wire/methods.ts'

export type Acceptor = { port: number; close(): Promise<void> }

/**
 * The listener that strangers reach. The TLS server name picks our certificate and the one peer's authorities, before any of
 * the other side's bytes but its ClientHello were looked at.
 */
export async function startAcceptor(deps: {
  host: string
  port: number
  roster: Roster
  certificates: OwnCertificates
  peerings: Pick<Peerings, 'admit'>
  /** Serves a connection on which nothing but bundles is exchanged. */
  onBundleConnection: (socket: TLSSocket, peers: readonly LinkPeer[], address: string) => void
  limits: LinkLimits
  refusals: Refusals
}): Promise<Acceptor> {
  const { roster, certificates, peerings, limits, refusals } = deps
  const contexts = secureContexts(certificates)
  const server = createServer({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Tickets become references to a session store, which node:tls servers do not have: nothing is resumed.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: limits.handshakeSeconds * 1000,
    ALPNProtocols: Object.values(alpn),
    requestCert: true,
    // Bundles are exchanged without certificates; all other connections are judged below, before a byte of them is read.
    rejectUnauthorized: false,
    // What it throws would end the process (CVE-2026-21637), so it must not throw.
    SNICallback: (name, callback) => {
      try {
        callback(null, contexts.of(name, roster.byServerName(name)))
      } catch (error) {
        callback(error instanceof Error ? error : new Error(messageOf(error)))
      }
    },
  })
  const strangers = new Map<string, number>()
  const handshakes = tokenBuckets({
    ...{ burst: limits.handshakeBurst, perSecond: limits.handshakesPerSecond, maxKeys: 10_000 },
  })
  let waiting = 0
  const sockets = new Set<Socket>()
  const knownBy = new Map<string, () => void>()

  server.on('connection', (socket: Socket) => {
    const address = placeOf(socket)
    const place = portOf(socket)
    const count = strangers.get(address) ?? 0
    if (count >= limits.strangersPerAddress || waiting >= limits.strangers || handshakes.take(address) > 0) {
      refusals.refused({ reason: 'TooManyHandshakes', address, what: 'connection' })
      socket.destroy()
      return
    }
    waiting += 1
    strangers.set(address, count + 1)
    sockets.add(socket)
    let counted = true
    const known = () => {
      if (!counted) return
      counted = false
      waiting -= 1
      const left = (strangers.get(address) ?? 1) - 1
      if (left > 0) strangers.set(address, left)
      else strangers.delete(address)
    }
    socket.once('close', () => {
      sockets.delete(socket)
      knownBy.delete(place)
      known()
    })
    socket.on('error', () => socket.destroy())
    knownBy.set(place, known)
  })

  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    refusals.refused({ reason: 'HandshakeFailed', address: placeOf(socket), what: 'handshake', message: error.message })
    socket.destroy()
  })

  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => socket.destroy())
    try {
      take(socket)
    } catch (error) {
      refusals.refused({ reason: 'InternalError', what: 'connection', message: messageOf(error) })
      socket.destroy()
    }
  })

  function take(socket: TLSSocket): void {
    const address = placeOf(socket)
    const name = typeof socket.servername === 'string' ? socket.servername : ''
    const candidates = roster.byServerName(name)
    if (socket.alpnProtocol === alpn.bundle) {
      deps.onBundleConnection(socket, candidates, address)
      return
    }
    const verdict = judged(socket, candidates)
    if ('reason' in verdict) {
      refusals.refused({ ...verdict, address, what: String(socket.alpnProtocol) })
      socket.destroy()
      return
    }
    const admitted = peerings.admit(socket, verdict.peer, { ...verdict, direction: 'Inbound' })
    if (admitted !== undefined) knownBy.get(portOf(socket))?.()
  }

  function judged(socket: TLSSocket, candidates: readonly LinkPeer[]): Judged {
    if (socket.alpnProtocol !== alpn.control && socket.alpnProtocol !== alpn.reverse) return { reason: 'WrongProtocol' }
    const purpose = socket.alpnProtocol === alpn.control ? 'control' : 'reverse'
    // The chain was checked against the authorities of that server name alone.
    if (!socket.authorized) {
      return { reason: 'CertificateUnknownAuthority', message: String(socket.authorizationError) }
    }
    const { raw: certificate } = socket.getPeerCertificate()
    const uri = certificate === undefined ? undefined : certificateUri(certificate)
    const peer = candidates.find((each) => each.uri === uri)
    if (certificate === undefined || peer === undefined) return { reason: 'CertificateWrongName' }
    const ownEnd = certificates.of(peer.identityName)?.notAfter
    return ownEnd === undefined ? { reason: 'NoCertificate' } : { peer, purpose, certificate, ownEnd }
  }

  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    port,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) if (!socket.destroyed) socket.destroy()
      await closed
    },
  }
}

type Judged =
  | { peer: LinkPeer; purpose: Purpose; certificate: Buffer; ownEnd: number }
  | { reason: string; message?: string }

/** Made once for each certificate and set of authorities; parsing them takes longer than a handshake. */
function secureContexts(certificates: OwnCertificates) {
  const made = new Map<string, { key: string; context: SecureContext }>()
  return {
    of(name: string, peers: readonly LinkPeer[]): SecureContext {
      const [first] = peers
      if (first === undefined) throw new HansaError('UnknownServerName', 'no peer of ours opens such connections')
      const own = certificates.of(first.identityName)
      if (own === undefined) throw new HansaError('NoCertificate', `Identity ${first.identityName} has none yet`)
      // More than one only where one owner has several clusters: they share a root key, never with anybody else.
      const ca = peers.flatMap(({ authorities }) => authorities)
      const key = [own.certPem, ...ca].join()
      const known = made.get(name)
      if (known?.key === key) return known.context
      const context = createSecureContext({
        key: own.keyPem,
        cert: own.certPem,
        // Without any, node:tls would take the authorities of the public web.
        ca: ca.length > 0 ? ca : [own.certPem],
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
      })
      if (made.size > 4096) made.clear()
      made.set(name, { key, context })
      return context
    },
  }
}

/** What limits for strangers count by: an IPv4 address, or the /64 of an IPv6 address. */
function placeOf(socket: Socket): string {
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  return address.includes(':') ? `${address.split(':').slice(0, 4).join(':')}::/64` : address
}

/** Both ends of a TCP connection, by which its TLS socket and the one underneath are one. */
function portOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
