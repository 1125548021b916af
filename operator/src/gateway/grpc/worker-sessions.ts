import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { ConnectionOptions } from 'node:tls'
import { HansaError } from '../../process/errors.ts'
import { unlimitedMegabytes } from './session-memory.ts'

export type WorkerSessionsDeps = {
  /** Read anew for each connection, so that a renewed certificate is used. */
  tls: () => ConnectionOptions
  port: number
  /** Monotonic milliseconds. */
  now: () => number
  /** Time between pings while calls are under way; default 5 s. */
  pingMs?: number
}

/** A call at a worker; `hasStarted` tells whether any of it may have reached the worker. */
export type WorkerStream = { stream: ClientHttp2Stream; hasStarted: () => boolean }

const spreadStreams = 16 // a second connection is worth its handshake from here on
const spreadSessions = 8
const mostStreams = 100
const mostSessions = 64
const connectMs = 3000
const idleMs = 30_000
const oldMs = 3_600_000 // a connection outlives neither side's certificate by much
const defaultPingMs = 5000
// A worker that computes may be late for a ping; one that is gone is silent for longer.
const silentPings = 3
const windowBytes = 1_048_576

/** The HTTP/2 connections to one worker: few streams on each while there are few, none kept that is idle, silent or old. */
export class WorkerSessions {
  #sessions: WorkerSession[] = []
  #retired = false
  readonly #url: string
  readonly #deps: WorkerSessionsDeps

  constructor(address: string, deps: WorkerSessionsDeps) {
    this.#url = `https://${address.includes(':') ? `[${address}]` : address}:${deps.port}`
    this.#deps = deps
  }

  /** Begins a call; undefined when the worker has as many as its connections may carry. */
  open(headers: OutgoingHttpHeaders): WorkerStream | undefined {
    if (this.#retired) return undefined
    this.#sessions = this.#sessions.filter((session) => !session.isGone)
    const usable = this.#sessions.filter((session) => session.hasRoom)
    let best = usable[0]
    for (const session of usable) if (best === undefined || session.streams < best.streams) best = session
    const wantsMore = best === undefined || (best.streams >= spreadStreams && usable.length < spreadSessions)
    if (wantsMore && this.#sessions.length < mostSessions) {
      best = new WorkerSession(this.#url, this.#deps)
      this.#sessions.push(best)
    }
    return best?.open(headers)
  }

  /** Takes no more calls and closes when those under way are done. */
  retire(): void {
    this.#retired = true
    for (const session of this.#sessions) session.retire()
  }

  destroy(): void {
    this.#retired = true
    for (const session of this.#sessions) session.destroy()
  }
}

class WorkerSession {
  streams = 0
  #connected = false
  #retired = false
  #unanswered = 0
  readonly #pingMs: number
  #heardBytes = 0
  #ping: NodeJS.Timeout | undefined
  readonly #session: ClientHttp2Session
  readonly #since: number
  readonly #now: () => number

  constructor(url: string, { tls, now, pingMs = defaultPingMs }: WorkerSessionsDeps) {
    this.#now = now
    this.#pingMs = pingMs
    this.#since = now()
    const session = connect(url, {
      ...tls(),
      ALPNProtocols: ['h2'],
      settings: { enablePush: false, maxHeaderListSize: 16_384 },
      maxHeaderListPairs: 64,
      maxSessionMemory: unlimitedMegabytes,
      maxReservedRemoteStreams: 0,
    })
    this.#session = session
    const overdue = setTimeout(() => {
      session.destroy(new HansaError('WorkerUnreachable', 'the worker did not take the connection in time'))
    }, connectMs)
    session.once('connect', () => {
      clearTimeout(overdue)
      this.#connected = true
      session.setLocalWindowSize(windowBytes)
    })
    session.once('close', () => {
      clearTimeout(overdue)
      clearInterval(this.#ping)
    })
    // Each stream hears of it too, and there it is dealt with.
    session.on('error', () => undefined)
    session.on('goaway', () => this.retire())
    session.setTimeout(idleMs, () => {
      if (this.streams === 0) this.retire()
    })
  }

  get isGone(): boolean {
    return this.#session.destroyed
  }

  get hasRoom(): boolean {
    if (this.#retired || this.#session.closed || this.#session.destroyed) return false
    if (this.#now() - this.#since > oldMs) {
      this.retire()
      return false
    }
    const theirs = this.#connected ? (this.#session.remoteSettings.maxConcurrentStreams ?? mostStreams) : mostStreams
    return this.streams < Math.min(mostStreams, theirs)
  }

  open(headers: OutgoingHttpHeaders): WorkerStream {
    const stream = this.#session.request(headers, { endStream: false })
    this.streams += 1
    this.#ping ??= setInterval(this.#checkAlive, this.#pingMs).unref()
    stream.once('close', () => {
      this.streams -= 1
      if (this.streams > 0) return
      clearInterval(this.#ping)
      this.#ping = undefined
      if (this.#retired) this.#session.close()
    })
    // A stream that the worker's GOAWAY left out, or that it refused, was not looked at (RFC 9113 section 8.7).
    return { stream, hasStarted: () => this.#connected && stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM }
  }

  retire(): void {
    if (this.#retired) return
    this.#retired = true
    if (this.streams === 0) this.#session.close()
  }

  destroy(): void {
    this.#session.destroy()
  }

  // A worker whose node vanished sends nothing, not even a reset; without this every call would wait for its deadline.
  readonly #checkAlive = () => {
    if (!this.#connected || this.#session.destroyed) return
    const bytes = this.#session.socket.bytesRead
    if (bytes !== this.#heardBytes) this.#unanswered = 0
    this.#heardBytes = bytes
    if (this.#unanswered >= silentPings) {
      this.#session.destroy(new HansaError('WorkerSilent', 'the worker is silent and does not answer pings'))
      return
    }
    this.#unanswered += 1
    this.#session.ping((error) => {
      if (error === null) this.#unanswered = 0
    })
  }
}
