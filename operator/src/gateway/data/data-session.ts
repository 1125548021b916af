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
// What one request may have on its way to us; what is not read fills it and no more.
const requestWindowBytes = 1 << 18
// Where we call, so that requests go elsewhere soon; and where we are called.
const callerPingMs = 500
const servePingMs = 10_000
const silentMs = 1500
const lostMs = 20_000

/** Streams that the other side resets, which costs it nothing and us a request each (CVE-2023-44487); beyond it the session ends. */
const resets = { streamResetBurst: 500, streamResetRate: 100 }
/** Calls that came to nothing, as one connection may make them. */
const wasteRate = { burst: 2000, perSecond: 500 }

/** The most that one connection of a peer may do to us; what is counted over all of them is in `limits.ts`. */
const bounds = {
  maxSessionMemory: 64,
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
    ...resets,
    settings: {
      maxConcurrentStreams: options.streams,
      enablePush: false,
      maxHeaderListSize: 8192,
      initialWindowSize: requestWindowBytes,
    },
  })
  session.setLocalWindowSize(sessionWindowBytes)
  const wasted = tokenBuckets({ ...wasteRate, maxKeys: 1, clock: () => options.clock.monotonic() })
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    stream.on('close', () => {
      const status = stream.headersSent ? Number(stream.sentHeaders[':status']) : 0
      if ((status === 0 || status >= 400) && wasted.take('') > 0) session.destroy()
    })
    options.handle(stream, headers)
  })
  return watched(session, socket, options.clock, servePingMs)
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
  watched(session, socket, options.clock, callerPingMs)
  return session
}

/** Since when a session has an answer to a ping outstanding, in monotonic milliseconds. */
const silentSince = new WeakMap<Http2Session, number>()

/** Whether the other side has said nothing to a ping for a while, as when packets are lost: better asked elsewhere meanwhile. */
export function isSilent(session: Http2Session, now: number): boolean {
  const since = silentSince.get(session)
  return since !== undefined && now - since > silentMs
}

/** Ends a session whose other side does not answer pings, and never lets its errors go unheard. */
function watched<S extends Http2Session>(session: S, socket: TLSSocket, clock: Clock, pingMs: number): S {
  let cancel = clock.after(pingMs, ping)
  function ping(): void {
    if (session.destroyed) return
    const now = clock.monotonic()
    const since = silentSince.get(session)
    if (since !== undefined && now - since > lostMs) {
      session.destroy()
      return
    }
    if (since === undefined) {
      silentSince.set(session, now)
      session.ping((error) => {
        if (error === null) silentSince.delete(session)
      })
    }
    cancel = clock.after(pingMs, ping)
  }
  session.on('error', () => session.destroy())
  session.on('close', () => {
    cancel()
    socket.destroy()
  })
  return session
}
