import type { TLSSocket } from 'node:tls'
import type { Clock } from '../kube/clock.ts'
import type { LinkLimits } from './limits.ts'
import type { Direction, Principal } from './principal.ts'
import { type Callee, type Route, serveCalls } from './transport/callee.ts'
import { type Caller, openCaller } from './transport/caller.ts'
import { guardedSocket } from './transport/guarded-socket.ts'

/** On a control connection the dialler calls, on a reverse connection the acceptor. */
export type Purpose = 'control' | 'reverse'

/** What the two sides told each other at the start; version 0: they have none in common. */
export type Greeting = { readonly version: number; readonly replica: string; readonly replicas: number }

/** One connection to a peer's link, after its certificate was checked. */
export type LinkConnection = {
  readonly principal: Principal
  readonly direction: Direction
  readonly purpose: Purpose
  /** The peer's certificate, DER. */
  readonly certificate: Buffer
  /** When (milliseconds since 1970) it should be replaced by a new one, well before either certificate ends. */
  renewAt(): number
  /** Brings that forward. */
  renewBy(time: number): void
  readonly openedAt: number
  /** Present where we call. */
  readonly caller: Caller | undefined
  greeting(): Greeting | undefined
  greeted(greeting: Greeting): void
  /** Whether new calls can be made on it. */
  usable(): boolean
  /** No new calls; ends when those under way have. */
  retire(): void
  retiring(): boolean
  cut(): void
  readonly closed: Promise<void>
}

const graceMilliseconds = 20_000
const overlapMilliseconds = 2000

/** Puts guard and HTTP/2 on a TLS socket whose other side is known. */
export function openConnection(
  socket: TLSSocket,
  options: {
    principal: Principal
    direction: Direction
    purpose: Purpose
    certificate: Buffer
    renewAt: number
    limits: LinkLimits
    clock: Clock
    routes: (connection: LinkConnection) => readonly Route[]
    unfinished: (difference: number) => boolean
    mayFrame: () => boolean
    onProblem: (problem: string) => void
    onRefused: (path: string, reason: string, message: string) => void
  },
): LinkConnection {
  const { direction, purpose, limits, clock } = options
  const weCall = (direction === 'Outbound') === (purpose === 'control')
  socket.setNoDelay(true)
  const guarded = guardedSocket(socket, {
    ...{ expectPreface: !weCall, limits: limits.frames, clock },
    ...{ silentSeconds: limits.silentSeconds, writeSeconds: limits.writeSeconds },
    ...{ unfinished: options.unfinished, mayFrame: options.mayFrame, onProblem: options.onProblem },
  })
  const { promise: closed, resolve: markClosed } = Promise.withResolvers<void>()
  guarded.on('close', markClosed)
  guarded.on('error', () => guarded.destroy())
  let greeting: Greeting | undefined
  let retiring = false
  let { renewAt } = options
  const caller = weCall ? openCaller(guarded, { clock }) : undefined
  const connection: LinkConnection = {
    principal: options.principal,
    direction,
    purpose,
    certificate: options.certificate,
    renewAt: () => renewAt,
    renewBy: (time) => {
      renewAt = Math.min(renewAt, time)
    },
    openedAt: clock.now(),
    caller,
    greeting: () => greeting,
    greeted: (given) => {
      greeting = given
    },
    usable: () => caller?.usable() === true && !retiring && (greeting?.version ?? 0) > 0,
    retire: () => {
      if (retiring) return
      retiring = true
      caller?.close(graceMilliseconds).catch(() => guarded.destroy())
      if (callee === undefined) return
      // The other side, which calls on it, may still wait for the answer to its greeting on the connection that follows this one.
      const cancel = clock.after(overlapMilliseconds, () => callee.drain(graceMilliseconds))
      void closed.then(cancel)
    },
    retiring: () => retiring,
    cut: () => {
      guarded.destroy()
    },
    closed,
  }
  const callee: Callee | undefined = weCall
    ? undefined
    : serveCalls(guarded, { routes: options.routes(connection), streams: limits.streams, onRefused: options.onRefused })
  void closed.then(() => callee?.destroy())
  return connection
}
