import { connect as connectTls, type TLSSocket } from 'node:tls'
import { HansaError, messageOf } from '../process/errors.ts'
import { type CarrierOptions, openCarrier } from './open-carrier.ts'
import { diallerTls, type Pairing, problemOfPeer } from './peer-tls.ts'
import { untilEvent } from './until-event.ts'

export type DialOptions = CarrierOptions & {
  alpn: string
  /** For all of it: name, connection, proxy, handshake. */
  timeoutSeconds: number
}

/**
 * Opens a TLS connection to the pairing's peer and checks that it is the peer. Throws HansaError: `ProxyRefused`, `PeerUnreachable`,
 * or `HandshakeFailed` when whoever answers is not the peer or does not take us for who we are.
 */
export async function dialPeer(pairing: Pairing, options: DialOptions): Promise<TLSSocket> {
  const { address, alpn } = options
  const deadline = AbortSignal.timeout(options.timeoutSeconds * 1000)
  const signal = AbortSignal.any([options.signal, deadline])
  const carrier = await openCarrier(options, signal)
  carrier.setNoDelay(true)
  const socket = connectTls({ socket: carrier, ...diallerTls(pairing, alpn) })
  try {
    await untilEvent(socket, 'secureConnect', signal)
    const problem = problemOfPeer(socket, pairing)
    if (problem !== undefined) throw new Error(problem)
    if (socket.alpnProtocol !== alpn) throw new Error(`it does not speak ${alpn}`)
    return socket
  } catch (cause) {
    socket.destroy()
    carrier.destroy()
    options.signal.throwIfAborted()
    const why = deadline.aborted ? `no handshake within ${options.timeoutSeconds} s` : messageOf(cause)
    throw new HansaError('HandshakeFailed', `${address} does not prove to be Peer ${pairing.peerName}: ${why}`, {
      hint: 'check that both Peers are Verified and that nothing between the two ends TLS itself',
      cause,
    })
  }
}
