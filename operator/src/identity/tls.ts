import { constants } from 'node:crypto'
import type { Server as HttpsServer } from 'node:https'
import type { ConnectionOptions, PeerCertificate, Server, TLSSocket, TlsOptions } from 'node:tls'
import { HansaError } from '../process/errors.ts'
import type { Identity } from './identity.ts'
import { certificateUri } from './san.ts'

export { spiffe } from './spiffe.ts'

/** Of node's ConnectionOptions only what says whom to trust, so that it also fits undici's and node:https' options. */
export type ClientTls = {
  ca: string
  key?: string
  cert?: string
  minVersion: 'TLSv1.3'
  maxVersion: 'TLSv1.3'
  rejectUnauthorized: true
  checkServerIdentity: NonNullable<ConnectionOptions['checkServerIdentity']>
}

const peers = new WeakMap<TLSSocket, string>()

/**
 * The peer's identity: the URI of its certificate when that was verified against our authority and carries exactly one;
 * else undefined, and the caller must refuse. Cheap after the first call: TLS 1.3 has no renegotiation, so it cannot change.
 */
export function peerUri(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined
  const known = peers.get(socket)
  if (known !== undefined) return known
  // Not getPeerX509Certificate: on clients it takes the certificate out of the chain, and the next call finds none (Node 24).
  const { raw } = socket.getPeerCertificate()
  const uri = raw === undefined ? undefined : certificateUri(raw)
  if (uri !== undefined) peers.set(socket, uri)
  return uri
}

/**
 * Options of a server that only certificates of our authority reach, TLS 1.3. Sessions are not resumed, so that every
 * connection shows a certificate that is valid now. The server must still check `peerUri`; keep it current with `followIdentity`.
 */
export function serverTls(identity: Identity): TlsOptions {
  return { ...serverOnlyTls(identity), requestCert: true, rejectUnauthorized: true, ca: identity.current().caPem }
}

/** As `serverTls` for callers without a certificate: users of the gateway, and those who come for their first one. */
export function serverOnlyTls(identity: Identity): TlsOptions {
  const { keyPem, certPem } = identity.current()
  return {
    key: keyPem,
    cert: certPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Turns TLS 1.3 tickets into references to a session store, which node:tls servers do not have.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: 10_000,
  }
}

/**
 * Options of a client that shows its certificate and talks to `expectedUri` alone; the name or address dialled does not
 * matter. Read them anew for each connection, so that a renewed certificate is used.
 */
export function clientTls(identity: Identity, expectedUri: string): ClientTls {
  const { keyPem, certPem, caPem } = identity.current()
  return { ...anonymousClientTls(caPem, expectedUri), key: keyPem, cert: certPem }
}

/** As `clientTls` for a process that has no certificate yet. */
export function anonymousClientTls(caPem: string, expectedUri: string): ClientTls {
  return {
    ca: caPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => wrongPeer(certificate, expectedUri),
  }
}

/** Gives a server the new certificate after each renewal; open connections keep theirs. Returns the function that stops it. */
export function followIdentity(
  server: Server | HttpsServer,
  identity: Identity,
  options: (identity: Identity) => TlsOptions = serverTls,
): () => void {
  return identity.onRenewed(() => server.setSecureContext(options(identity)))
}

function wrongPeer(certificate: PeerCertificate, expectedUri: string): Error | undefined {
  const uri = certificateUri(certificate.raw)
  if (uri === expectedUri) return undefined
  return new HansaError('PeerIdentityMismatch', `the peer is ${uri ?? 'not identified by one URI'}, not ${expectedUri}`)
}
