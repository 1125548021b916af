import { connect, createServer, type Server, type Socket } from 'node:net'

export interface Target {
  readonly host: string
  readonly port: number
}

/** A TCP listener that forwards each connection to the next of its targets. */
export interface Forwarder {
  readonly port: number
  close(): Promise<void>
}

const connectMilliseconds = 10_000

/** Listens at an address; a connection without a target, or whose target refuses, is reset. */
export async function startForwarder(address: Target, targets: () => readonly Target[]): Promise<Forwarder> {
  let turn = 0
  const sockets = new Set<Socket>()
  // Both halves are closed one by one, so that a client may end its request and still read the answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const all = targets()
    const target = all[turn++ % Math.max(1, all.length)]
    track(client, sockets)
    if (!target) return void client.resetAndDestroy()
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true })
    track(upstream, sockets)
    upstream.setTimeout(connectMilliseconds, () => upstream.destroy(new Error('timeout')))
    upstream.once('connect', () => upstream.setTimeout(0))
    join(client, upstream)
    join(upstream, client)
  })
  await listen(server, address)
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function join(from: Socket, to: Socket): void {
  from.pipe(to)
  from.once('error', () => to.resetAndDestroy())
  // Ended properly both ways, the other side closes by itself.
  from.once('close', () => from.readableEnded || to.destroy())
}

function track(socket: Socket, sockets: Set<Socket>): void {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
}

function listen(server: Server, { host, port }: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
