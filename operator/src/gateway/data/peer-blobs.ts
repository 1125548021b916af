import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import { namespaceHeader } from '../../api/fetch-state.ts'
import type { GuestWork } from '../../api/guest-work.ts'
import type { Identity } from '../../identity/identity.ts'
import { followIdentity, peerUri, serverTls } from '../../identity/tls.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Store } from '../../kube/store.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { LedgerToPeer } from './ledger-to-peer.ts'
import type { DataMetrics } from './metrics.ts'
import { isGrantedIn } from './promised.ts'
import { partOf } from './serve-blobs.ts'

export type PeerBlobDeps = {
  host: string
  port: number
  identity: Identity
  /** URI of the only caller: the fetch worker. */
  fetchUri: string
  /** Index `requestId` of GuestWorks in the namespace of the release. */
  works: Store<GuestWork, 'requestId'>
  /** Takes messages of our ledger to those of peers. */
  ledger?: LedgerToPeer | undefined
  callerOf: (peerName: string) => ClientHttp2Session | undefined
  /** Why there is no connection with a peer, where that is known. */
  problemOf: (peerName: string) => string
  clock: Clock
  log: Logger
  metrics: DataMetrics
}

const answerMs = 60_000
const maxRefusalBytes = 4096
const maxStreams = 64
const passedOn = ['content-length', 'content-range', 'accept-ranges', 'etag', 'content-type'] as const
const pathPattern =
  /^\/v1\/peers\/([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)\/requests\/([0-9a-f-]{36})\/blobs\/sha256:([0-9a-f]{64})$/
const refusalSchema = z.object({ error: z.object({ reason: z.string().max(64), message: z.string().max(1024) }) })

/** A call that is not answered with a file: HTTP status, and the reason that the Model's condition will show. */
class NoBlob extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/**
 * Serves `GET /v1/peers/{peer}/requests/{requestId}/blobs/sha256:{hex}` to our fetch worker over mutual TLS, for Models of guests:
 * the file comes from the gateway of the peer that asked us to run them.
 */
export async function servePeerBlobs(deps: PeerBlobDeps): Promise<{ url: string; close(): Promise<void> }> {
  const { clock, log, metrics } = deps
  const stopping = new AbortController()
  let streams = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The server speaks TLS only.
    if (peerUri(request.socket as TLSSocket) !== deps.fetchUri) {
      throw new NoBlob(403, 'Forbidden', 'only the fetch worker may call this')
    }
    if (request.method !== 'GET') throw new NoBlob(405, 'MethodNotAllowed', 'only GET is answered')
    const [, peerName, , requestId, sha256] = pathPattern.exec(request.url ?? '') ?? []
    if (peerName === undefined || requestId === undefined || sha256 === undefined) {
      throw new NoBlob(404, 'NotFound', 'there is no such path')
    }
    const namespace = request.headers[namespaceHeader]
    const isGranted =
      typeof namespace === 'string' &&
      deps.works.byIndex('requestId', requestId).some((work) => isGrantedIn(work, { peerName, requestId, namespace }))
    if (!isGranted) {
      const message = `no GuestWork of peer ${peerName} with request ${requestId} is granted for this namespace`
      throw new NoBlob(403, 'PeerWorkNotGranted', message)
    }
    const session = deps.callerOf(peerName)
    if (session === undefined) {
      throw new NoBlob(
        503,
        'PeerUnreachable',
        `there is no data connection with its gateway: ${deps.problemOf(peerName)}`,
      )
    }
    if (streams >= maxStreams)
      throw new NoBlob(503, 'PeerUnreachable', 'this gateway gets too many files of peers at once')
    streams += 1
    try {
      await pass(session, { peerName, path: `/v1/blobs/sha256:${sha256}?request=${requestId}` }, request, response)
    } finally {
      streams -= 1
    }
  }

  async function pass(
    session: ClientHttp2Session,
    { peerName, path }: { peerName: string; path: string },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort(new Error('the fetch worker closed the connection')))
    const signal = AbortSignal.any([stopping.signal, gone.signal])
    const stream = session.request({ ':method': 'GET', ':path': path, ...partOf(request.headers) }, { signal })
    stream.on('error', () => undefined)
    try {
      const headers = await headOf(stream, clock)
      const status = Number(headers[':status'])
      if (![200, 206, 416].includes(status)) throw await refusalOf(stream, status)
      for (const name of passedOn) {
        const value = headers[name]
        if (value !== undefined) response.setHeader(name, value)
      }
      response.writeHead(status)
      stream.on('data', (piece: Buffer) => metrics.received(peerName, piece.length))
      await pipeline(stream, response, { signal })
    } catch (error) {
      if (error instanceof NoBlob) throw error
      signal.throwIfAborted()
      throw new NoBlob(503, 'PeerUnreachable', `the connection to its gateway broke: ${messageOf(error)}`)
    } finally {
      stream.destroy()
    }
  }

  const server = createServer(
    {
      ...serverTls(deps.identity),
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5000,
      maxHeaderSize: 8192,
    },
    (request, response) => {
      response.on('error', () => undefined)
      if (deps.ledger?.handles(request) === true) {
        deps.ledger.answer(request, response).catch(() => response.destroy())
        return
      }
      answer(request, response).catch((error: unknown) => {
        const refused = error instanceof NoBlob ? error : new NoBlob(503, 'PeerUnreachable', messageOf(error))
        log.info({ reason: refused.reason, path: request.url?.slice(0, 400) }, refused.message)
        refuse(response, refused)
      })
    },
  )
  server.maxConnections = 256
  // A fetch worker that reads nothing for two minutes is gone.
  server.setTimeout(120_000, (socket) => socket.destroy())
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unfollow = followIdentity(server, deps.identity)
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'the listener for files of peers failed'))
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: async () => {
      unfollow()
      // Fetch goes on from where it was cut.
      stopping.abort(new Error('the gateway is shutting down'))
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** Waits for the head of the peer's answer. */
function headOf(stream: ClientHttp2Stream, clock: Clock): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(answerMs, () => stream.destroy(new Error(`no answer within ${answerMs / 1000} s`)))
    stream.once('response', (headers) => {
      cancel()
      resolve(headers)
    })
    stream.once('error', (error) => {
      cancel()
      reject(error)
    })
    stream.once('close', () => {
      cancel()
      reject(new Error('the stream ended before the answer'))
    })
  })
}

/** What the peer's refusal means here; its own words are shown, short and printable. */
async function refusalOf(stream: ClientHttp2Stream, status: number): Promise<NoBlob> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += piece.length
    if (bytes > maxRefusalBytes) break
    pieces.push(piece)
  }
  let said = `answers ${status}`
  try {
    const { data } = refusalSchema.safeParse(JSON.parse(Buffer.concat(pieces).toString('utf8')))
    if (data !== undefined) said = `${data.error.reason}: ${data.error.message}`.replace(/[^\x20-\x7e]/g, '?')
  } catch {
    said = `answers ${status} without a readable reason`
  }
  if (status === 403) return new NoBlob(403, 'PeerRefused', said)
  if (status === 404) return new NoBlob(404, 'BlobNotFound', said)
  return new NoBlob(503, 'PeerUnreachable', said)
}

function refuse(response: ServerResponse, { status, reason, message }: NoBlob): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const body = JSON.stringify({ error: { reason, message: message.slice(0, 1000) } })
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
