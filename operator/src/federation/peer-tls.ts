import { constants } from 'node:crypto'
import { type ConnectionOptions, createSecureContext, type TLSSocket, type TlsOptions } from 'node:tls'

/**
 * One of our identities and one peer that knows us by it: what a connection between the two needs, and nothing of anybody else.
 * Made anew whenever certificate, bundle or peer change; connections are judged by the one of the moment.
 */
export type Pairing = {
  readonly peerName: string
  readonly identityName: string
  readonly ownTrustDomain: string
  readonly peerTrustDomain: string
  /** Our own certificate with its key, PEM. */
  readonly keyPem: string
  readonly certPem: string
  /** Authorities that may have issued the peer's certificate, PEM: those of that peer's bundle alone. */
  readonly authorities: readonly string[]
  /** Why a certificate (DER) of the peer is not accepted now: name, process, time, revocation; undefined when it is. */
  problemOf(leafDer: Uint8Array): string | undefined
}

/** The pairing of the moment between two trust domains; undefined when there is none, or it is suspended or not verified. */
export type FindPairing = (peerTrustDomain: string, ownTrustDomain: string) => Pairing | undefined

/** TLS server name of a connection, by which the acceptor knows before anything else which two owners it is between. */
export function serverNameOf(diallerTrustDomain: string, acceptorTrustDomain: string): string {
  return `${diallerTrustDomain}.${acceptorTrustDomain}`
}

const serverNamePattern = /^([a-z2-7]{52})\.([a-z2-7]{52})$/

/** The pairing that a server name asks for, as the acceptor sees it. */
export function pairingOfServerName(name: unknown, find: FindPairing): Pairing | undefined {
  const match = serverNamePattern.exec(typeof name === 'string' ? name : '')
  const [, dialler, acceptor] = match ?? []
  return dialler === undefined || acceptor === undefined ? undefined : find(dialler, acceptor)
}

const versions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const
// Every connection shows its certificate: no tickets, and node:tls servers have no session store.
const secureOptions = constants.SSL_OP_NO_TICKET

/**
 * Options of a listener for peers. Whoever names no pairing in the server name gets no certificate to see and no further; the
 * certificate of one who does is verified against that one peer's authorities. After the handshake ask `problemOfPeer`.
 */
export function acceptorTls(find: FindPairing, alpn: readonly string[]): TlsOptions {
  return {
    ...versions,
    secureOptions,
    requestCert: true,
    rejectUnauthorized: true,
    // Without a server name this empty list is what counts; with one the context of the pairing does.
    ca: [],
    ALPNProtocols: [...alpn],
    SNICallback: (name, done) => {
      const pairing = pairingOfServerName(name, find)
      if (pairing === undefined) return done(new Error('no such pairing'))
      const { keyPem: key, certPem: cert, authorities } = pairing
      if (authorities.length === 0) return done(new Error('the peer has no authority'))
      done(null, createSecureContext({ ...versions, secureOptions, key, cert, ca: [...authorities] }))
    },
  }
}

/** Options with which we dial a peer, apart from address or socket. After the handshake ask `problemOfPeer`. */
export function diallerTls(pairing: Pairing, alpn: string): ConnectionOptions {
  const { keyPem: key, certPem: cert, authorities, ownTrustDomain, peerTrustDomain } = pairing
  return {
    ...versions,
    secureOptions,
    key,
    cert,
    ca: [...authorities],
    rejectUnauthorized: true,
    servername: serverNameOf(ownTrustDomain, peerTrustDomain),
    ALPNProtocols: [alpn],
    checkServerIdentity: (_host, { raw }) => {
      const problem = raw === undefined ? 'it shows no certificate' : pairing.problemOf(raw)
      return problem === undefined ? undefined : new Error(problem)
    },
  }
}

/**
 * Why a connection is not, or no longer, one with the pairing's peer; undefined when it is. Ask it right after the handshake, and
 * again, with the pairing of the moment, while the connection lives: that is how revocation and suspension cut it.
 */
export function problemOfPeer(socket: TLSSocket, pairing: Pairing | undefined): string | undefined {
  if (pairing === undefined) return 'there is no verified peer of that name any more'
  if (!socket.authorized) return 'its certificate was not verified'
  // Not getPeerX509Certificate: on clients it takes the certificate out of the chain, and the next call finds none (Node 24).
  const { raw } = socket.getPeerCertificate()
  return raw === undefined ? 'it shows no certificate' : pairing.problemOf(raw)
}
