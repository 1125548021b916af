import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { HansaError, messageOf } from '../process/errors.ts'
import { diallerTls, type Pairing, problemOfPeer } from './peer-tls.ts'

const maxProxyAnswerBytes = 8192

export type DialOptions = {
  /** `host:port`, IPv6 addresses in brackets. */
  address: string
  /** HTTP proxy that knows CONNECT. */
  proxy?: { url: string; caBundle?: string | undefined } | undefined
  alpn: string
  /** For all of it: name, connection, proxy, handshake. */
  timeoutSeconds: number
  signal: AbortSignal
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

async function openCarrier({ address, proxy, ...options }: DialOptions, signal: AbortSignal): Promise<Socket> {
  const target = hostAndPortOf(address)
  if (proxy === undefined) {
    return reach(connectTcp({ ...target, noDelay: true, keepAlive: true }), 'connect', address, signal, options.signal)
  }
  const url = new URL(proxy.url)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const isHttps = url.protocol === 'https:'
  const port = Number(url.port || (isHttps ? 443 : 80))
  const where = `the proxy ${url.host}`
  const socket = isHttps
    ? await reach(
        connectTls({
          host,
          port,
          ...(isIP(host) === 0 && { servername: host }),
          ...(proxy.caBundle !== undefined && { ca: proxy.caBundle }),
        }),
        'secureConnect',
        where,
        signal,
        options.signal,
      )
    : await reach(connectTcp({ host, port, keepAlive: true }), 'connect', where, signal, options.signal)
  try {
    socket.write(`CONNECT ${address} HTTP/1.1\r\nHost: ${address}\r\n\r\n`)
    await readProxyAnswer(socket, where, signal)
    return socket
  } catch (cause) {
    socket.destroy()
    options.signal.throwIfAborted()
    if (cause instanceof HansaError) throw cause
    throw new HansaError('ProxyRefused', `${where} does not connect to ${address}: ${messageOf(cause)}`, { cause })
  }
}

async function reach<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  where: string,
  signal: AbortSignal,
  asked: AbortSignal,
): Promise<S> {
  try {
    await untilEvent(socket, event, signal)
    return socket
  } catch (cause) {
    socket.destroy()
    asked.throwIfAborted()
    throw new HansaError('PeerUnreachable', `${where} does not answer: ${messageOf(cause)}`, { cause })
  }
}

/** Reads the head of the answer byte for byte as far as it goes: what follows it belongs to TLS. */
async function readProxyAnswer(socket: Socket, where: string, signal: AbortSignal): Promise<void> {
  let head = Buffer.alloc(0)
  for (;;) {
    const end = head.indexOf('\r\n\r\n')
    if (end >= 0) {
      const rest = head.subarray(end + 4)
      if (rest.length > 0) socket.unshift(rest)
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, end))?.[1]
      if (status?.startsWith('2')) return
      throw new HansaError('ProxyRefused', `${where} answers CONNECT with ${status ?? 'something that is not HTTP'}`, {
        hint: 'ask its admin to allow CONNECT to the peer',
      })
    }
    if (head.length > maxProxyAnswerBytes)
      throw new HansaError('ProxyRefused', `${where} answers CONNECT with too much`)
    // read() gives what has come, or null until there is more.
    const piece: unknown = socket.read()
    if (piece instanceof Buffer) head = Buffer.concat([head, piece])
    else await untilEvent(socket, 'readable', signal)
    if (socket.readableEnded) throw new Error('it closed the connection')
  }
}

/** Waits for the event; rejects when the socket fails or closes, or the signal aborts, before. */
async function untilEvent(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  const settled = new AbortController()
  const closed = once(socket, 'close', { signal: settled.signal }).then(() => {
    throw new Error('the connection was closed')
  })
  // `once` rejects by itself on 'error'.
  const happened = once(socket, event, { signal: AbortSignal.any([signal, settled.signal]) })
  closed.catch(() => undefined)
  happened.catch(() => undefined)
  try {
    await Promise.race([happened, closed])
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    settled.abort()
  }
}

/** The parts of `host:port`. */
export function hostAndPortOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) }
}
