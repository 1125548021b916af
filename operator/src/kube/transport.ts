import type { Readable } from 'node:stream'
import { Agent, buildConnector, type Dispatcher, ProxyAgent } from 'undici'
import { messageOf } from '../process/errors.ts'
import { KubeApiError } from './api-error.ts'
import { type Clock, sleep } from './clock.ts'
import type { ClusterAccess, ClusterTls } from './cluster-access.ts'
import { abortable, type Deadline, startDeadline } from './deadline.ts'
import { errorOfAnswer } from './status.ts'
import { createTokenBucket } from './token-bucket.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export type TransportRequest = {
  readonly method: Method
  /** Path with query. */
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  readonly signal: AbortSignal
  /** For the whole call; of a stream, up to its first byte. */
  readonly timeoutSeconds: number
}

export type Transport = {
  /** Sends a request and reads the whole answer as text. */
  send(request: TransportRequest): Promise<string>
  /** Sends a request and hands out the answer as it comes; the caller destroys it. */
  stream(request: TransportRequest): Promise<Readable>
  close(): Promise<void>
}

export type TransportLimits = { requestsPerSecond: number; burst: number; responseBytes: number }

const maxAttempts = 5
const errorBodyBytes = 256 * 1024

/** HTTP to one API server: credentials, deadlines, rate limit, Retry-After, and errors with a type. */
export function createTransport(deps: {
  cluster: ClusterAccess
  userAgent: string
  limits: TransportLimits
  clock: Clock
  random: () => number
}): Transport {
  const { cluster, limits, clock } = deps
  const base = new URL(cluster.server)
  const prefix = base.pathname.replace(/\/+$/, '')
  const dispatcher = createDispatcher(cluster)
  const bucket = createTokenBucket(clock, limits.requestsPerSecond, limits.burst)

  async function exchange(request: TransportRequest, fresh: boolean, signal: AbortSignal) {
    const headers: Record<string, string> = {
      ...(await abortable(cluster.headers(fresh), signal)),
      // Some paths answer with JSON of a type of their own, such as the issuer's keys (application/jwk-set+json).
      accept: 'application/json, */*;q=0.5',
      'user-agent': deps.userAgent,
    }
    if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json'
    return dispatcher.request({
      origin: base.origin,
      path: `${prefix}${request.path}`,
      method: request.method,
      headers,
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal,
    })
  }

  /** Resolves with the first answer that is no error; its body is still to be read. */
  async function attempt(request: TransportRequest, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    let fresh = false
    for (let tries = 1; ; tries++) {
      await bucket.take(deadline.signal)
      const answer = await exchange(request, fresh, deadline.signal)
      if (answer.statusCode < 300) return answer
      const text = await readText(answer.body, errorBodyBytes).catch(() => '')
      const error = errorOfAnswer(answer.statusCode, answer.headers['retry-after'], text, request)
      if (answer.statusCode === 401 && !fresh && tries < maxAttempts) {
        fresh = true
        continue
      }
      const mayRetry = answer.statusCode === 429 || answer.statusCode === 503
      if (!mayRetry || error.afterSeconds === undefined || tries >= maxAttempts) throw error
      // Callers that were sent away together shall not come back together.
      const wait = error.afterSeconds * 1_000 * (1 + 0.2 * deps.random())
      if (wait >= deadline.remainingMilliseconds()) throw error
      await sleep(clock, wait, deadline.signal)
    }
  }

  async function guarded<R>(request: TransportRequest, work: (deadline: Deadline) => Promise<R>): Promise<R> {
    const deadline = startDeadline(clock, request.signal, request.timeoutSeconds * 1_000)
    try {
      return await work(deadline)
    } catch (thrown) {
      throw translate(thrown, request, deadline)
    } finally {
      deadline.clear()
    }
  }

  return {
    send: (request) =>
      guarded(request, async (deadline) => readText((await attempt(request, deadline)).body, limits.responseBytes)),
    stream: (request) =>
      guarded(request, async (deadline) => {
        const { body } = await attempt(request, deadline)
        return body
      }),
    close: () => dispatcher.destroy(),
  }
}

function createDispatcher(cluster: ClusterAccess): Dispatcher {
  // One HTTP/1.1 connection a watch: a dead connection then takes one watch with it, not all of them.
  const options = { allowH2: false, headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 10_000 }
  if (cluster.proxyUrl !== undefined) {
    return new ProxyAgent({ ...options, uri: cluster.proxyUrl, requestTls: { ...cluster.tls(), timeout: 10_000 } })
  }
  let built: { tls: ClusterTls; connector: ReturnType<typeof buildConnector> } | undefined
  return new Agent({
    ...options,
    connect(target, callback) {
      const tls = cluster.tls()
      if (built?.tls !== tls) built = { tls, connector: buildConnector({ ...tls, allowH2: false, timeout: 10_000 }) }
      built.connector(target, callback)
    },
  })
}

async function readText(body: Readable, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limitBytes) {
      body.destroy()
      throw new KubeApiError({
        reason: 'ApiServerAnswerTooLarge',
        message: `the answer of the API server is larger than ${limitBytes} bytes`,
        afterSeconds: 300,
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size).toString('utf8')
}

function translate(thrown: unknown, request: TransportRequest, deadline: Deadline): unknown {
  if (thrown instanceof KubeApiError) return thrown
  if (deadline.expired()) {
    return new KubeApiError({
      reason: 'ApiServerTimeout',
      message: `${request.method} ${request.path}: no answer within ${request.timeoutSeconds} s`,
    })
  }
  if (request.signal.aborted) return request.signal.reason
  return unreachable(thrown, request)
}

/** The error for a connection that could not be made, or broke. */
export function unreachable(thrown: unknown, request: { method: string; path: string }): KubeApiError {
  return new KubeApiError({
    reason: 'ApiServerUnreachable',
    message: `${request.method} ${request.path}: ${messageOf(thrown)}`,
    cause: thrown,
  })
}
