import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { openCarrier } from '../federation/open-carrier.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import { type LinkPeer, problemOfCertificate } from './link-peer.ts'
import type { OwnCertificate } from './own-certificates.ts'
import type { alpn } from './wire/methods.ts'

const dialSeconds = 15

/** Where the peer is reached: what our admin wrote, else what the peer's own bundle says. */
export function addressOf(peer: LinkPeer): string | undefined {
  return peer.peer.spec.address ?? peer.bundle?.address
}

/** Opens a TLS connection to the peer's link; its certificate was checked against the peer's bundle. Throws HansaError. */
export async function dial(
  peer: LinkPeer,
  own: OwnCertificate,
  protocol: typeof alpn.control | typeof alpn.reverse,
  deps: { now: () => number; signal: AbortSignal },
): Promise<{ socket: TLSSocket; certificate: Buffer }> {
  const socket = await openTls(peer, protocol, deps.signal, {
    key: own.keyPem,
    cert: own.certPem,
    ca: [...peer.authorities],
    rejectUnauthorized: true,
    checkServerIdentity: (_name: string, certificate: { raw: Buffer }) => {
      const problem = problemOfCertificate(certificate.raw, peer, deps.now())
      return problem === undefined ? undefined : new HansaError(problem, `the certificate of ${peer.name} is not taken`)
    },
  })
  const { raw } = socket.getPeerCertificate()
  if (raw !== undefined) return { socket, certificate: raw }
  socket.destroy()
  throw new HansaError('CertificateMissing', `the link of ${peer.name} shows no certificate`)
}

/** Opens a connection on which nothing is proved by TLS: for root-signed bundles. */
export function dialForBundle(
  peer: LinkPeer,
  protocol: typeof alpn.bundle,
  deps: { signal: AbortSignal },
): Promise<TLSSocket> {
  return openTls(peer, protocol, deps.signal, { rejectUnauthorized: false })
}

async function openTls(
  peer: LinkPeer,
  protocol: string,
  parent: AbortSignal,
  options: ConnectionOptions,
): Promise<TLSSocket> {
  const address = addressOf(peer)
  if (address === undefined) throw new HansaError('NoAddress', `nobody knows where the link of ${peer.name} is`)
  const signal = AbortSignal.any([parent, AbortSignal.timeout(dialSeconds * 1000)])
  const stream = await openCarrier({ address, proxy: peer.peer.spec.proxy, signal: parent }, signal)
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...options,
      socket: stream,
      servername: peer.serverName.outbound,
      ALPNProtocols: [protocol],
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
    })
    const fail = (cause: unknown) => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      stream.destroy()
      reject(
        cause instanceof HansaError
          ? cause
          : new HansaError('HandshakeFailed', `no TLS with ${peer.name} at ${address}: ${messageOf(cause)}`, { cause }),
      )
    }
    const onAbort = () => fail(signal.reason)
    const onClose = () => fail(new Error('the other side closed the connection'))
    signal.addEventListener('abort', onAbort, { once: true })
    // A stream that fails underneath with bytes still to be written does not end the TLS socket by itself.
    stream.once('close', () => socket.destroy())
    socket.once('error', fail)
    socket.once('close', onClose)
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== protocol) return fail(new Error(`the other side does not speak ${protocol}`))
      signal.removeEventListener('abort', onAbort)
      socket.off('error', fail)
      socket.off('close', onClose)
      socket.on('error', () => socket.destroy())
      resolve(socket)
    })
  })
}
