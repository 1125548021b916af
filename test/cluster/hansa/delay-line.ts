import { connect, createServer, type Socket } from 'node:net'

/** A TCP line to one address on which everything takes its time. */
export interface DelayLine {
  /** Where to connect instead, `127.0.0.1:<port>`. */
  readonly address: string
  close(): Promise<void>
}

/** Listens at a free port of 127.0.0.1 and passes each piece on to `to` (`host:port`), and back, after `milliseconds`. */
export async function startDelayLine(to: string, milliseconds: number): Promise<DelayLine> {
  const at = to.lastIndexOf(':')
  const target = { host: to.slice(0, at), port: Number(to.slice(at + 1)) }
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true })
    for (const [from, into] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      // Timers of the same length fire in their order, so pieces keep theirs.
      const later = (act: () => void) => setTimeout(() => into.destroyed || act(), milliseconds)
      from.on('data', (bytes) => later(() => into.write(bytes)))
      from.on('end', () => later(() => into.end()))
      from.on('error', () => into.destroy())
      from.on('close', () => {
        sockets.delete(from)
        setTimeout(() => into.destroy(), milliseconds)
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0, exclusive: true }, resolve)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the line has no port')
  return {
    address: `127.0.0.1:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
