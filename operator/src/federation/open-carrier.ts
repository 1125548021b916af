import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { HansaError, messageOf } from '../process/errors.ts'
import { untilEvent } from './until-event.ts'

const maxProxyAnswerBytes = 8192
const keepAliveInitialDelay = 10_000

export type CarrierOptions = {
  /** `host:port`, IPv6 addresses in brackets. */
  address: string
  /** HTTP proxy that knows CONNECT. */
  proxy?: { url: string; caBundle?: string | undefined } | undefined
  /** Of who asks; the other signal has the deadline too. */
  signal: AbortSignal
}

/**
 * Opens a byte stream to an address, through the proxy where there is one. Throws HansaError: `AddressInvalid`, `PeerUnreachable`,
 * `ProxyRefused`; or the reason of `options.signal`.
 */
export async function openCarrier(
  { address, proxy, ...options }: CarrierOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const target = hostAndPortOf(address)
  if (proxy === undefined) {
    const direct = connectTcp({ ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay })
    return quiet(await reach(direct, 'connect', address, signal, options.signal))
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
    : await reach(
        connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay }),
        'connect',
        where,
        signal,
        options.signal,
      )
  try {
    socket.write(`CONNECT ${address} HTTP/1.1\r\nHost: ${address}\r\n\r\n`)
    await readProxyAnswer(socket, where, signal)
    return quiet(socket)
  } catch (cause) {
    socket.destroy()
    options.signal.throwIfAborted()
    if (cause instanceof HansaError) throw cause
    throw new HansaError('ProxyRefused', `${where} does not connect to ${address}: ${messageOf(cause)}`, { cause })
  }
}

/** Whoever takes the stream hears of its end; an error that comes before must not end the process. */
function quiet(socket: Socket): Socket {
  return socket.on('error', () => socket.destroy())
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

/** The parts of `host:port`; IPv6 addresses in brackets. */
export function hostAndPortOf(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  const port = Number(address.slice(at + 1))
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new HansaError('AddressInvalid', `${address} is no host:port`, { retry: 'never' })
  }
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port }
}
