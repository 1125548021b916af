import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { followIdentity, peerUri, serverTls } from '@hansa/operator/identity/tls.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { counted } from '../counted.ts'
import { embeddings, mostBodyBytes, noEmbeddings } from '../openai/embeddings.ts'
import { modelList, modelObject } from '../openai/models.ts'
import { isOpenAiPath, openAiRoute } from '../openai/openai-route.ts'
import type { Worker } from '../worker.ts'
import { answerJson, beginAnswer, refuse, traceOf } from './answer.ts'
import { describe } from './describe.ts'
import { ClientGone, HttpProblem } from './http-problem.ts'
import { infer } from './infer.ts'
import { refuseRaw } from './raw-refusal.ts'
import type { BufferBudget } from './read-body.ts'
import { route } from './route.ts'
import { sent } from './sent.ts'
import { takeRequest } from './take-request.ts'

/** Connections older than this are closed after an answer, so that a peer's certificate is looked at anew. */
const maxConnectionMs = 3_600_000

export type RestServer = {
  readonly url: string
  /** Requests that are being answered. */
  readonly active: number
  /** Ends idle connections; busy ones end with their answer. */
  endIdle(): void
  /** Resolves when no request is being answered any more or the signal aborts. */
  settled(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Open Inference Protocol v2 over HTTP/1.1; with an identity mTLS that admits `gatewayUri` alone, else plain on loopback. */
export async function startRestServer(
  options: { host: string; port: number; maxConnections: number },
  deps: {
    worker: Worker
    budget: BufferBudget
    log: Logger
    tls: { identity: Identity; gatewayUri: string } | undefined
  },
): Promise<RestServer> {
  const { worker, budget, log, tls } = deps
  const connections = new Map<Socket, { uri: string | undefined; since: number; active: number }>()
  const limits = {
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    requestTimeout: Math.max(10, worker.limits.requestSeconds + 5) * 1000,
    connectionsCheckingInterval: 1_000,
    // Longer than the gateway keeps idle connections, so that it closes first and never writes into a closing one.
    keepAliveTimeout: 65_000,
  }
  const server: Server =
    tls === undefined ? createServer(limits) : createTlsServer({ ...limits, ...serverTls(tls.identity) })
  server.maxConnections = options.maxConnections
  const unfollow = tls === undefined ? () => undefined : follow(server, tls.identity)
  let active = 0
  const settled = new Set<() => void>()

  const connected = (socket: Socket, uri: string | undefined) => {
    connections.set(socket, { uri, since: performance.now(), active: 0 })
    socket.once('close', () => connections.delete(socket))
  }
  if (tls === undefined) server.on('connection', (socket: Socket) => connected(socket, undefined))
  else server.on('secureConnection', (socket: TLSSocket) => connected(socket, peerUri(socket)))
  server.on('request', (request, response) => take(request, response, false))
  server.on('checkContinue', (request, response) => take(request, response, true))
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    begin(request, response)
    refuse(request, response, new HttpProblem(417, 'only Expect: 100-continue is understood'), log)
  })
  server.on('clientError', refuseRaw)
  server.on('connect', (_request, socket) => socket.destroy())

  server.listen(options.port, options.host)
  await once(server, 'listening')

  function take(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const requestId = begin(request, response)
    const startedAt = performance.now()
    const connection = connections.get(request.socket)
    active++
    if (connection !== undefined) connection.active++
    answer(request, response, expectsContinue)
      .catch((error: unknown) => {
        if (error instanceof ClientGone) return void response.destroy()
        refuse(request, response, error, log)
      })
      .then(() => sent(response))
      .finally(() => {
        active--
        if (connection !== undefined) connection.active--
        if (active === 0) for (const done of settled) done()
        if (!log.isLevelEnabled('debug')) return
        const { method } = request
        const ms = performance.now() - startedAt
        log.debug({ requestId, traceparent: traceOf(request), method, status: response.statusCode, ms }, 'request')
      })
  }

  async function answer(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const { method = '', url = '' } = request
    if (tls !== undefined && connections.get(request.socket)?.uri !== tls.gatewayUri) {
      throw new HttpProblem(403, 'only the gateway may call this worker')
    }
    if (isOpenAiPath(url)) {
      const found = openAiRoute(method, url, worker.model.name)
      if (found.kind !== 'embeddings') {
        if (worker.closing) throw new HttpProblem(503, 'the worker is shutting down')
        return answerJson(response, 200, found.kind === 'models' ? modelList(worker) : modelObject(worker))
      }
      if (worker.loaded !== undefined && worker.loaded.embedder === undefined) throw noEmbeddings()
      const maxBytes = Math.min(worker.limits.requestBytes, mostBodyBytes)
      return measured(() =>
        takeRequest(request, response, { worker, budget, expectsContinue, maxBytes }, (taken) =>
          embeddings(taken, worker),
        ),
      )
    }
    const found = route(method, url, worker.model)
    if (found.kind !== 'infer') {
      if (worker.closing && found.kind !== 'live') throw new HttpProblem(503, 'the worker is shutting down')
      const { ok, body } = describe(found, worker)
      return answerJson(response, ok ? 200 : 503, body)
    }
    return measured(() => infer(request, response, worker, budget, expectsContinue))
  }

  async function measured(work: () => Promise<void>): Promise<void> {
    await counted(worker.metrics, async () => {
      if (worker.closing) throw new HttpProblem(503, 'the worker is shutting down', { 'retry-after': '1' })
      await work()
    })
  }

  function begin(request: IncomingMessage, response: ServerResponse): string {
    const since = connections.get(request.socket)?.since ?? 0
    if (worker.draining || performance.now() - since > maxConnectionMs) response.setHeader('connection', 'close')
    return beginAnswer(request, response)
  }

  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    get active() {
      return active
    },
    // Not closeIdleConnections: that also destroys connections whose answer has ended but not left yet.
    endIdle: () => {
      for (const [socket, connection] of connections) if (connection.active === 0) socket.destroy()
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
      server.closeAllConnections()
      await closed
    },
  }
}

function follow(server: Server, identity: Identity): () => void {
  // createServer of node:https made it, so it has setSecureContext.
  return followIdentity(server as Parameters<typeof followIdentity>[0], identity)
}
