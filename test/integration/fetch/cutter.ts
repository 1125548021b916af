import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Passes TCP connections on to a port of this machine and cuts some of them, below TLS, as a network does. */
export type Cutter = {
  port: number
  /** Cuts each of the next `times` connections that brings more than `bytes`. */
  cutAfter(bytes: number, times: number): void
  cuts(): number
  /** Bytes that came from the server, all connections together. */
  bytes(): number
  close(): Promise<void>
}

export async function startCutter(target: number): Promise<Cutter> {
  const sockets = new Set<Socket>()
  let limit = Number.POSITIVE_INFINITY
  let left = 0
  let cuts = 0
  let bytes = 0
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let received = 0
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk) => {
      received += chunk.length
      bytes += chunk.length
      if (received > limit && left > 0) {
        left -= 1
        cuts += 1
        // What came before gets to the client first.
        client.end()
        upstream.destroy()
        return
      }
      if (!client.write(chunk)) {
        upstream.pause()
        client.once('drain', () => upstream.resume())
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // listen with a port always gives an AddressInfo.
    port: (server.address() as AddressInfo).port,
    cutAfter: (after, times) => {
      limit = after
      left = times
    },
    cuts: () => cuts,
    bytes: () => bytes,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
