import { once, setMaxListeners } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { followIdentity, peerUri, serverTls } from '@hansa/operator/identity/tls.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { InferProblem } from '../problem.ts'
import { ClientGone } from '../rest/http-problem.ts'
import type { BufferBudget } from '../rest/read-body.ts'
import type { Worker } from '../worker.ts'
import { GrpcCall } from './call.ts'
import { describers } from './describe.ts'
import { inferStream } from './infer-stream.ts'
import { inferUnary } from './infer-unary.ts'
import { readMessage } from './read-message.ts'
import { GrpcProblem, grpcStatus, verdictOf } from './status.ts'
import { WireReader } from './wire-reader.ts'

const servicePath = '/inference.GRPCInferenceService/'
/** Requests that only ask about the worker are a few names. */
const describeBytes = 64 << 10
/** Connections older than this take no new calls, so that a peer's certificate is looked at anew. */
const maxConnectionMs = 3_600_000
const maxConnections = 256
const http2 = {
  settings: { maxConcurrentStreams: 4096, maxHeaderListSize: 16_384 },
  // The peer is a gateway: calls that its users give up must not count as an attack by it.
  streamResetBurst: 100_000,
  streamResetRate: 10_000,
  // Bodies are counted in the worker's own budget; Node's limit (MB) would end streams of other callers.
  maxSessionMemory: 4096,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
}
const connectionWindowBytes = 8 << 20

export type GrpcServer = {
  /** `host:port` */
  readonly address: string
  /** Calls that are being answered. */
  readonly active: number
  /** Tells peers to go elsewhere (GOAWAY) and ends streams once what is under way in them is answered. */
  goAway(): void
  /** Resolves when no call is being answered any more or the signal aborts. */
  settled(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/**
 * `inference.GRPCInferenceService` over HTTP/2; with an identity mTLS that admits `gatewayUri` alone, else plain on loopback.
 * On node:http2 rather than a gRPC library, so that bytes are counted as they arrive, not when a message is complete.
 */
export async function startGrpcServer(
  options: { host: string; port: number },
  deps: {
    worker: Worker
    budget: BufferBudget
    log: Logger
    tls: { identity: Identity; gatewayUri: string } | undefined
  },
): Promise<GrpcServer> {
  const { worker, budget, log, tls } = deps
  const sessions = new Map<ServerHttp2Session, { uri: string | undefined }>()
  const server: Http2Server | Http2SecureServer =
    tls === undefined ? createServer(http2) : createSecureServer({ ...http2, ...serverTls(tls.identity) })
  server.maxConnections = maxConnections
  const unfollow = tls === undefined ? () => undefined : follow(server, tls.identity)
  const closing = new AbortController()
  setMaxListeners(0, closing.signal) // One for each open stream.
  const settled = new Set<() => void>()
  let active = 0

  server.on('session', (session: ServerHttp2Session) => {
    // With TLS the socket is a TLSSocket behind a proxy that lets these reads through.
    const uri = tls === undefined ? undefined : peerUri(session.socket as TLSSocket)
    sessions.set(session, { uri })
    session.setLocalWindowSize(connectionWindowBytes)
    const old = setTimeout(() => session.close(), maxConnectionMs)
    session.once('close', () => {
      clearTimeout(old)
      sessions.delete(session)
    })
    session.on('error', () => undefined) // Its streams tell their calls.
  })
  server.on('sessionError', () => undefined)
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined) // 'close' follows, which ends the call.
    take(new GrpcCall(stream, headers))
  })

  server.listen(options.port, options.host)
  await once(server, 'listening')

  function take(call: GrpcCall): void {
    const startedAt = performance.now()
    active++
    answer(call)
      .catch((error: unknown) => {
        if (error instanceof ClientGone) {
          call.code ??= grpcStatus.cancelled
          call.stream.destroy()
          return undefined
        }
        const verdict = verdictOf(error)
        const isOurs = error instanceof InferProblem || error instanceof GrpcProblem
        if (!isOurs) log.warn({ error: messageOf(error).slice(0, 256) }, 'request failed')
        return call.end(verdict)
      })
      .finally(() => {
        active--
        if (active === 0) for (const done of settled) done()
        if (!log.isLevelEnabled('debug')) return
        const { requestId, traceparent, code } = call
        const ms = performance.now() - startedAt
        log.debug({ requestId, traceparent, method: methodOf(call), status: code, ms }, 'request')
      })
  }

  async function answer(call: GrpcCall): Promise<void> {
    const { headers, stream } = call
    const type = headers['content-type'] ?? ''
    if (headers[':method'] !== 'POST') return call.refuseHttp(405)
    if (!/^application\/grpc($|[+;])/.test(type)) return call.refuseHttp(415)
    if (tls !== undefined && sessions.get(stream.session as ServerHttp2Session)?.uri !== tls.gatewayUri) {
      throw new GrpcProblem(grpcStatus.permissionDenied, 'only the gateway may call this worker')
    }
    const encoding = headers['grpc-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      throw new GrpcProblem(grpcStatus.unimplemented, 'compressed messages are not accepted')
    }
    const method = methodOf(call)
    if (method === 'ModelInfer') return inferUnary(call, worker, budget)
    if (method === 'ModelStreamInfer') return inferStream(call, worker, budget, closing.signal)
    const describe = Object.hasOwn(describers, method) ? describers[method] : undefined
    if (describe === undefined) throw new GrpcProblem(grpcStatus.unimplemented, 'there is no such call')
    if (worker.closing && method !== 'ServerLive') throw new InferProblem('NotReady', 'the worker is shutting down')
    const held = { bytes: 0 }
    try {
      const signal = new AbortController().signal
      const bytes = await readMessage(stream, { maxBytes: describeBytes, budget, signal }, held)
      void call.write(await describe(new WireReader(bytes), worker))
      await call.end({ code: grpcStatus.ok, message: '' })
    } finally {
      budget.give(held.bytes)
    }
  }

  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    address: `${host}:${port}`,
    get active() {
      return active
    },
    goAway: () => {
      closing.abort()
      for (const session of sessions.keys()) session.close()
    },
    settled: async (signal) => {
      while (active > 0 && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        settled.add(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
        await promise
        settled.delete(resolve)
      }
    },
    close: async () => {
      unfollow()
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const session of sessions.keys()) session.destroy()
      await closed
    },
  }
}

/** The name of a call in GRPCInferenceService; empty for what is not in it. */
function methodOf(call: GrpcCall): string {
  const path = call.headers[':path'] ?? ''
  return path.startsWith(servicePath) ? path.slice(servicePath.length, servicePath.length + 64) : ''
}

function follow(server: Http2Server | Http2SecureServer, identity: Identity): () => void {
  // createSecureServer made it, so it has setSecureContext.
  return followIdentity(server as Parameters<typeof followIdentity>[0], identity)
}
