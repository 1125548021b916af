import { Duplex } from 'node:stream'
import type { Clock } from '../../kube/clock.ts'
import { createFrameReader, type FrameLimits, type FrameProblem } from './frames.ts'

const sweepMilliseconds = 2000

export type SocketProblem = FrameProblem | 'Silent' | 'SlowReader'

export type GuardOptions = {
  /** Whether the other side is the HTTP/2 client of this connection. */
  readonly expectPreface: boolean
  readonly limits: FrameLimits
  /** Without a byte for so long the other side is gone: somebody pings every few seconds. */
  readonly silentSeconds: number
  /** Longest time that the other side may leave what we sent unread. */
  readonly writeSeconds: number
  readonly clock: Clock
  readonly unfinished?: (difference: number) => boolean
  readonly mayFrame?: () => boolean
  /** Called once, when the connection is cut for what the other side does or leaves undone. */
  readonly onProblem: (problem: SocketProblem) => void
}

/** The socket with a guard in between, to hand to an HTTP/2 session. Both are destroyed together. */
export function guardedSocket(socket: Duplex, options: GuardOptions): Duplex {
  const { clock } = options
  const now = () => clock.monotonic()
  const reader = createFrameReader({ ...options, now })
  let heardAt = now()
  let writingSince: number | undefined
  let stopSweeping = clock.after(sweepMilliseconds, sweep)

  const guarded = new Duplex({
    allowHalfOpen: false,
    read: () => {
      socket.resume()
    },
    write: (chunk, encoding, done) => {
      writingSince ??= now()
      socket.write(chunk, encoding, (error) => {
        writingSince = undefined
        done(error)
      })
    },
    final: (done) => {
      socket.end(done)
    },
    destroy: (error, done) => {
      stopSweeping()
      reader.release()
      socket.destroy()
      done(error)
    },
  })

  function cut(problem: SocketProblem): void {
    if (guarded.destroyed) return
    options.onProblem(problem)
    guarded.destroy()
  }

  function sweep(): void {
    if (guarded.destroyed) return
    const problem = problemNow()
    if (problem === undefined) stopSweeping = clock.after(sweepMilliseconds, sweep)
    else cut(problem)
  }

  function problemNow(): SocketProblem | undefined {
    if (now() - heardAt > options.silentSeconds * 1000) return 'Silent'
    if (writingSince !== undefined && now() - writingSince > options.writeSeconds * 1000) return 'SlowReader'
    return reader.overdue()
  }

  socket.on('data', (chunk: Buffer) => {
    heardAt = now()
    const problem = reader.read(chunk)
    if (problem !== undefined) cut(problem)
    else if (!guarded.push(chunk)) socket.pause()
  })
  socket.on('end', () => guarded.push(null))
  socket.on('close', () => guarded.destroy())
  socket.on('error', () => guarded.destroy())
  return guarded
}
