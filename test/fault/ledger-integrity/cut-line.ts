import { connect, createServer, type Socket } from 'node:net'

/** A TCP line to one address that can be cut: what is open then breaks, and nothing new gets through. */
export type CutLine = { address: string; cut(): void; heal(): void; close(): Promise<void> }

export async function startCutLine(to: string): Promise<CutLine> {
  const at = to.lastIndexOf(':')
  const target = { host: to.slice(0, at), port: Number(to.slice(at + 1)) }
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer({ noDelay: true }, (client) => {
    if (isCut) {
      client.destroy()
      return
    }
    const upstream = connect({ ...target, noDelay: true })
    for (const [from, into] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.pipe(into)
      from.on('error', () => into.destroy())
      from.on('close', () => {
        sockets.delete(from)
        into.destroy()
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0 }, resolve)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the line has no port')
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    address: `127.0.0.1:${bound.port}`,
    cut: () => {
      isCut = true
      breakAll()
    },
    heal: () => {
      isCut = false
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        breakAll()
      }),
  }
}
