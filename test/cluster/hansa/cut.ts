import { connect, createServer, type Socket } from 'node:net'

/**
 * What a cut line does: `Silence` swallows everything, as a lost route does; `Reset` ends what is open and refuses what is new; `Slow` lets
 * everything through, each way after 400 ms and no more than 64 KiB a second.
 */
export type CutKind = 'Silence' | 'Reset' | 'Slow'

export const slowLine = { delayMs: 400, bytesPerMs: 64 }

/** A TCP line to one address, which a test can cut and heal. */
export interface CuttableLine {
  /** Where to connect instead, `127.0.0.1:<port>`. */
  readonly address: string
  /** Connections that are open now, silent ones too. */
  readonly connections: number
  /** Connections that were ever opened. */
  readonly opened: number
  cut(kind?: CutKind): void
  /** What was said in silence arrives now, as TCP would send it again. */
  heal(): void
  close(): Promise<void>
}

/** Listens at a free port of 127.0.0.1 and forwards to `to` (`host:port`) until it is cut. */
export async function startCuttableLine(to: string): Promise<CuttableLine> {
  const at = to.lastIndexOf(':')
  const target = { host: to.slice(0, at), port: Number(to.slice(at + 1)) }
  const lines = new Set<Line>()
  let state: 'Open' | CutKind = 'Open'
  let opened = 0
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    opened += 1
    if (state === 'Reset') return void client.resetAndDestroy()
    const line = createLine(client, target, () => lines.delete(line))
    lines.add(line)
    if (state !== 'Silence') line.flow(state === 'Slow')
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port: 0, exclusive: true }, resolve)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the line has no port')
  return {
    address: `127.0.0.1:${bound.port}`,
    get connections() {
      return lines.size
    },
    get opened() {
      return opened
    },
    cut(kind = 'Silence') {
      state = kind
      for (const line of lines) {
        if (kind === 'Silence') line.hold()
        else if (kind === 'Reset') line.reset()
        else line.flow(true)
      }
    },
    heal() {
      state = 'Open'
      for (const line of lines) line.flow(false)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const line of lines) line.reset()
      }),
  }
}

type Line = { flow(isSlow: boolean): void; hold(): void; reset(): void }

function createLine(client: Socket, target: { host: string; port: number }, gone: () => void): Line {
  let upstream: Socket | undefined
  let flowing = false
  let slow = false
  let ended = false
  const sockets = () => (upstream === undefined ? [client] : [client, upstream])
  const end = (how: 'close' | 'reset') => {
    if (ended) return
    ended = true
    gone()
    for (const socket of sockets()) how === 'reset' ? socket.resetAndDestroy() : socket.destroy()
  }
  const join = (from: Socket, to: Socket) => {
    const later = inOrder(() => slow)
    from.on('data', (bytes) => {
      const write = () => {
        if (!to.destroyed && !to.write(bytes)) from.pause()
      }
      later(bytes.length, write)
    })
    to.on('drain', () => flowing && from.resume())
    from.on('end', () => later(0, () => to.end()))
  }
  const watch = (socket: Socket) => {
    socket.on('error', () => end('reset'))
    socket.on('close', () => {
      if (sockets().every((each) => each.destroyed || (each.readableEnded && each.writableFinished))) end('close')
    })
  }
  watch(client)
  return {
    flow(isSlow) {
      flowing = true
      slow = isSlow
      if (upstream === undefined) {
        upstream = connect({ ...target, allowHalfOpen: true, noDelay: true })
        watch(upstream)
        join(client, upstream)
        join(upstream, client)
      }
      for (const socket of sockets()) socket.resume()
    },
    hold() {
      flowing = false
      for (const socket of sockets()) socket.pause()
    },
    reset: () => end('reset'),
  }
}

/** Does one thing after the other: at once, or each when a slow line would have it there. */
function inOrder(isSlow: () => boolean): (bytes: number, act: () => void) => void {
  const waiting: { due: number; act: () => void }[] = []
  // When the last piece has left, and when it is there.
  let [free, last] = [0, 0]
  const next = () => {
    const now = performance.now()
    while (waiting[0] !== undefined && waiting[0].due <= now) waiting.shift()?.act()
    if (waiting[0] !== undefined) setTimeout(next, Math.ceil(waiting[0].due - now))
  }
  return (bytes, act) => {
    const now = performance.now()
    if (!isSlow() && waiting.length === 0) return act()
    free = Math.max(now, free) + (isSlow() ? bytes / slowLine.bytesPerMs : 0)
    last = Math.max(last, isSlow() ? free + slowLine.delayMs : now)
    waiting.push({ due: last, act })
    if (waiting.length === 1) setTimeout(next, Math.ceil(last - now))
  }
}
