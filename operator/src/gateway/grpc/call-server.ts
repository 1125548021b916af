import { once } from 'node:events'
import {
  constants,
  createSecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { ServerCertificate } from '../http/server-certificate.ts'
import { userTls } from '../http/user-server.ts'
import { unlimitedMegabytes } from './session-memory.ts'

export type CallServerDeps = {
  host: string
  port: number
  certificate: ServerCertificate
  maxConnections: number
  /** Calls at once, those that only wait included. */
  maxStreams: number
  idleSeconds: number
  onCall: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => void
  /** Monotonic milliseconds. */
  now: () => number
  onTlsError: () => void
  log: Logger
}

export type CallServer = {
  url: string
  connections(): number
  /** Takes no connections and no new calls (GOAWAY); resolves when the last call is done, at the latest when the signal aborts. */
  close(signal: AbortSignal): Promise<void>
}

type SessionState = { streams: number; idleSince: number; pings: number; pingedAt: number; isAlive: boolean }

const streamsPerConnection = 128
const sweepMs = 5000
const pingMs = 30_000
/** What a client may send of pings and settings without sending calls, and how many more each second. */
const controlBurst = 100
const controlPerSecond = 2
const windowBytes = 1_048_576

/** The listener that users' gRPC reaches: HTTP/2 over TLS 1.2 or newer, with limits on everything that a stranger controls. */
export async function startCallServer(deps: CallServerDeps): Promise<CallServer> {
  const { log, now } = deps
  const sessions = new Map<Http2Session, SessionState>()
  let streams = 0
  let pingedAt = now()
  const tls = () => ({ ...userTls(deps.certificate), ALPNProtocols: ['h2'] })
  const server = createSecureServer({
    ...tls(),
    allowHTTP1: false,
    settings: { maxConcurrentStreams: streamsPerConnection, maxHeaderListSize: 16_384, enablePush: false },
    maxHeaderListPairs: 64,
    maxSessionMemory: unlimitedMegabytes,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 2,
    maxSettings: 16,
    // Rapid reset (CVE-2023-44487): a client that opens calls only to cancel them is disconnected.
    streamResetBurst: 500,
    streamResetRate: 50,
    unknownProtocolTimeout: 1000,
    strictFieldWhitespaceValidation: true,
  })
  server.maxConnections = deps.maxConnections
  server.on('session', (session) => {
    const state: SessionState = { streams: 0, idleSince: now(), pings: controlBurst, pingedAt: now(), isAlive: true }
    sessions.set(session, state)
    // Larger than one stream's, so that a slow call does not hold up the others; a call's own window bounds what it buffers.
    session.setLocalWindowSize(windowBytes)
    session.on('error', (error) => log.debug({ error: messageOf(error) }, 'gRPC connection failed'))
    session.once('close', () => sessions.delete(session))
    const control = () => {
      const seconds = (now() - state.pingedAt) / 1000
      state.pingedAt = now()
      state.pings = Math.min(controlBurst, state.pings + seconds * controlPerSecond) - 1
      if (state.pings < 0) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
    }
    session.on('ping', control)
    session.on('remoteSettings', control)
  })
  server.on(
    'stream',
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
      const { session } = stream
      const state = session === undefined ? undefined : sessions.get(session)
      if (state === undefined || streams >= deps.maxStreams) {
        stream.on('error', () => undefined)
        stream.close(constants.NGHTTP2_REFUSED_STREAM)
        return
      }
      streams += 1
      state.streams += 1
      stream.once('close', () => {
        streams -= 1
        state.streams -= 1
        state.idleSince = now()
      })
      deps.onCall(stream, headers, flags, rawHeaders)
    },
  )
  server.on('tlsClientError', (error, socket) => {
    deps.onTlsError()
    log.debug({ error: messageOf(error) }, 'TLS handshake failed')
    socket.destroy()
  })
  // Whoever does not speak HTTP/2.
  server.on('unknownProtocol', (socket) => socket.destroy())
  server.on('sessionError', () => undefined)
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'gRPC listener failed'))
  const unsubscribe = deps.certificate.onChanged(() => {
    try {
      server.setSecureContext(tls())
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the new certificate cannot be used; the old one stays')
    }
  })
  const sweep = setInterval(() => {
    const mayPing = now() - pingedAt > pingMs
    if (mayPing) pingedAt = now()
    for (const [session, state] of sessions) {
      if (state.streams === 0) {
        // Whatever it sends, a connection without calls is of no use.
        if (now() - state.idleSince > deps.idleSeconds * 1000) endIdle(session)
      } else if (mayPing && !session.destroyed) checkAlive(session, state)
    }
  }, sweepMs).unref()
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    connections: () => sessions.size,
    close: async (signal) => {
      unsubscribe()
      const closed = once(server, 'close')
      server.close()
      for (const session of sessions.keys()) session.close()
      const cut = () => {
        for (const session of sessions.keys()) session.destroy()
      }
      if (signal.aborted) cut()
      else signal.addEventListener('abort', cut, { once: true })
      await closed
      signal.removeEventListener('abort', cut)
      clearInterval(sweep)
    },
  }
}

function endIdle(session: Http2Session): void {
  if (session.closed) session.destroy()
  else session.close()
}

/** A user whose machine vanished would otherwise keep an idle stream for an hour. */
function checkAlive(session: Http2Session, state: SessionState): void {
  if (!state.isAlive) {
    session.destroy()
    return
  }
  state.isAlive = false
  session.ping((error) => {
    if (error === null) state.isAlive = true
  })
}
