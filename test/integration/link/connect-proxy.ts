import { once } from 'node:events'
import { createServer as createHttp, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export type ConnectProxy = {
  url: string
  /** Targets that were asked for. */
  targets: string[]
  /** Ends all tunnels and takes no new ones while true. */
  cut(down: boolean): void
  stop(): Promise<void>
}

/** An HTTP proxy that knows CONNECT; https where it is given a certificate. */
export async function startConnectProxy(tls?: { key: string; cert: string }): Promise<ConnectProxy> {
  const server: Server = tls === undefined ? createHttp() : createHttps(tls)
  const sockets = new Set<Duplex>()
  const targets: string[] = []
  let isDown = false
  server.on('connect', (request, socket: Duplex, head: Buffer) => {
    const target = request.url ?? ''
    targets.push(target)
    const colon = target.lastIndexOf(':')
    if (isDown) return socket.destroy()
    const upstream = connect(Number(target.slice(colon + 1)), target.slice(0, colon), () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    for (const each of [socket, upstream]) {
      sockets.add(each)
      each.on('error', () => each.destroy())
      each.on('close', () => {
        sockets.delete(each)
        socket.destroy()
        upstream.destroy()
      })
    }
  })
  server.on('connection', (socket: Socket) => socket.on('error', () => socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://localhost:${port}`,
    targets,
    cut(down) {
      isDown = down
      for (const socket of sockets) socket.destroy()
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
