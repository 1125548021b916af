import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const

/** One HTTP/2 frame. */
export function frame(
  type: keyof typeof frameTypes,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
  flags = 0,
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = frameTypes[type]
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A header block of literals, never indexed (RFC 7541, 6.2.3). */
export function headerBlock(path: string, more: Record<string, string> = {}): Buffer {
  const headers: Record<string, string> = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'link',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  }
  const text = (value: string) => Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)])
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]),
  )
}

/** A gRPC message with its prefix; `size` and `flag` may lie. */
export function grpcMessage(bytes: Uint8Array, lie: { flag?: number; size?: number } = {}): Buffer {
  const head = Buffer.alloc(5)
  head[0] = lie.flag ?? 0
  head.writeUInt32BE(lie.size ?? bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** What begins an HTTP/2 connection. */
export const opening = Buffer.concat([Buffer.from(preface), frame('settings', 0), frame('settings', 0, undefined, 1)])

/** A TLS connection by all the rules or against them; rejects when there is none. */
export async function openTls(
  target: { port: number; from?: string; plain?: string },
  options: ConnectionOptions,
): Promise<TLSSocket> {
  const tcp = connectTcp({
    port: target.port,
    host: '127.0.0.1',
    ...(target.from !== undefined && { localAddress: target.from }),
  })
  tcp.on('error', () => tcp.destroy())
  const socket = connect({ minVersion: 'TLSv1.3', rejectUnauthorized: false, ...options, socket: tcp })
  socket.on('close', () => tcp.destroy())
  tcp.on('close', () => socket.destroy())
  await once(socket, 'secureConnect')
  socket.on('error', () => socket.destroy())
  socket.resume()
  return socket
}

/** Whether the other side ends the connection in time. */
export async function endsWithin(socket: TLSSocket, seconds: number): Promise<boolean> {
  if (socket.destroyed) return true
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), seconds * 1000)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
