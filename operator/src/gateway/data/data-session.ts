import {
  type ClientHttp2Session,
  connect,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { tokenBuckets } from '../../identity/token-buckets.ts'
import type { Clock } from '../../kube/clock.ts'

const streamWindowBytes = 1 << 20
const sessionWindowBytes = 8 << 20
const pingMs = 10_000

const streamRate = { burst: 500, perSecond: 20 }

/** The most that one connection of a peer may do to us; what is counted over all of them is in `limits.ts`. */
const bounds = {
  maxSessionMemory: 10,
  maxHeaderListPairs: 32,
  maxOutstandingPings: 4,
  maxOutstandingSettings: 4,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 50,
}

/** Serves calls of the other side of a connection, whoever opened it. */
export function serveSession(
  socket: TLSSocket,
  options: { streams: number; clock: Clock; handle: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void },
): Http2Session {
  const session = performServerHandshake(socket, {
    ...bounds,
    settings: { maxConcurrentStreams: options.streams, enablePush: false, maxHeaderListSize: 8192 },
  })
  const opened = tokenBuckets({ ...streamRate, maxKeys: 1, clock: () => options.clock.monotonic() })
  session.on('stream', (stream, headers) => {
    // Also those that are reset at once (CVE-2023-44487).
    if (opened.take('') > 0) {
      session.destroy()
      return
    }
    // What is asked has no body; whoever sends one fills our window and no more.
    stream.on('error', () => undefined)
    options.handle(stream, headers)
  })
  return watched(session, socket, options.clock)
}

/** Makes calls to the other side of a connection, whoever opened it. */
export function callSession(socket: TLSSocket, options: { clock: Clock }): ClientHttp2Session {
  const session = connect('https://peer', {
    ...bounds,
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: 8192 },
  })
  session.on('connect', () => session.setLocalWindowSize(sessionWindowBytes))
  // Nobody pushes to us.
  session.on('stream', (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM))
  watched(session, socket, options.clock)
  return session
}

/** Ends a session whose other side does not answer two pings in a row, and never lets its errors go unheard. */
function watched<S extends Http2Session>(session: S, socket: TLSSocket, clock: Clock): S {
  let unanswered = 0
  let cancel = clock.after(pingMs, ping)
  function ping(): void {
    if (session.destroyed) return
    if (unanswered >= 2) {
      session.destroy()
      return
    }
    unanswered += 1
    session.ping((error) => {
      if (error === null) unanswered = 0
    })
    cancel = clock.after(pingMs, ping)
  }
  session.on('error', () => session.destroy())
  session.on('close', () => {
    cancel()
    socket.destroy()
  })
  return session
}
