import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HansaError } from '../../process/errors.ts'

const maxHeaderSize = 8192

/** An HTTP proxy that knows CONNECT. */
export type Proxy = { readonly url: string; readonly caBundle?: string | undefined }

/** Opens a byte stream to `host:port`, through the proxy where there is one. The signal must carry the deadline. */
export function connectThrough(
  target: { host: string; port: number },
  proxy: Proxy | undefined,
  signal: AbortSignal,
): Promise<Duplex> {
  return proxy === undefined ? direct(target, signal) : tunnelled(target, proxy, signal)
}

/** Splits `host:port`, `[v6]:port`. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  const port = Number(address.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new HansaError('AddressInvalid', `${address} is no host:port`, { retry: 'never' })
  }
  return { host, port }
}

function direct({ host, port }: { host: string; port: number }, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 })
    const onError = (cause: Error) => reject(unreachable(`${host}:${port}`, cause.message, cause))
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      socket.on('error', () => socket.destroy())
      resolve(socket)
    })
  })
}

function tunnelled({ host, port }: { host: string; port: number }, proxy: Proxy, signal: AbortSignal): Promise<Duplex> {
  const url = new URL(proxy.url)
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const options = {
    ...{
      host: url.hostname.replace(/^\[|\]$/g, ''),
      method: 'CONNECT',
      path: target,
      agent: false,
      signal,
      maxHeaderSize,
    },
    headers: { host: target },
  } as const
  return new Promise((resolve, reject) => {
    const outgoing =
      url.protocol === 'https:'
        ? httpsRequest({
            ...{ ...options, port: Number(url.port) || 443, minVersion: 'TLSv1.2' },
            ...(proxy.caBundle !== undefined && { ca: proxy.caBundle }),
          })
        : httpRequest({ ...options, port: Number(url.port) || 80 })
    outgoing.once('connect', (answer, socket: Duplex, head: Buffer) => {
      if (answer.statusCode !== 200) {
        socket.destroy()
        reject(unreachable(target, `the proxy ${url.host} answered ${answer.statusCode}`))
        return
      }
      socket.on('error', () => socket.destroy())
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    outgoing.once('response', (answer) => {
      answer.destroy()
      reject(unreachable(target, `the proxy ${url.host} answered ${answer.statusCode} and does not connect`))
    })
    outgoing.on('error', (cause) =>
      reject(unreachable(target, `through the proxy ${url.host}: ${cause.message}`, cause)),
    )
    outgoing.end()
  })
}

function unreachable(target: string, why: string, cause?: unknown): HansaError {
  return new HansaError('Unreachable', `cannot connect to ${target}: ${why}`, { cause })
}
