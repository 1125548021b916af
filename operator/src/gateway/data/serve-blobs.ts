import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { pipeline } from 'node:stream/promises'
import type { RemoteWork } from '../../api/remote-work.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Store } from '../../kube/store.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { PeerLimits, PeerUse } from './limits.ts'
import type { DataMetrics } from './metrics.ts'
import type { OpenBlob } from './own-blobs.ts'
import { paced } from './paced.ts'
import { promisedBlob } from './promised.ts'
import { type PeerHandler, refusePeer } from './serve-peer.ts'

export type BlobServer = {
  handle: PeerHandler
  /** Ends transfers whose request was ended meanwhile. */
  recheck(): void
}

export type BlobServerDeps = {
  /** Index `uid` holds the uid of the RemoteWork, which is the id of the request. */
  works: Store<RemoteWork, 'uid'>
  open: OpenBlob
  use: PeerUse
  limits: PeerLimits
  clock: Clock
  log: Logger
  metrics: DataMetrics
}

type Wanted = { requestId: string; sha256: string }

const pathPattern =
  /^\/v1\/blobs\/sha256:([0-9a-f]{64})\?request=([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/
const passedOn = ['content-length', 'content-range', 'accept-ranges', 'etag', 'content-type'] as const

class Refused extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/** Gives peers the files that a request of ours to them names, and nothing else. */
export function createBlobServer(deps: BlobServerDeps): BlobServer {
  const { works, open, use, limits, clock, log, metrics } = deps
  const transfers = new Set<{ peerName: string; wanted: Wanted; stop: AbortController }>()

  const promised = (peerName: string, { requestId, sha256 }: Wanted) =>
    promisedBlob(works.byIndex('uid', requestId)[0], { peerName, sha256 })

  async function answer(peerName: string, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    if (headers[':method'] !== 'GET') throw new Refused(405, 'MethodNotAllowed', 'only GET is answered')
    const [, sha256, requestId] = pathPattern.exec(headers[':path'] ?? '') ?? []
    if (sha256 === undefined || requestId === undefined) throw new Refused(404, 'NotFound', 'there is no such path')
    if (!use.mayAsk(peerName)) throw new Refused(429, 'TooManyRequests', 'too many requests, try again later')
    const wanted = { requestId, sha256 }
    const grant = promised(peerName, wanted)
    // One answer for whatever is not the peer's: neither requests nor digests can be guessed at.
    if (grant === undefined) throw new Refused(403, 'NotPromised', 'no request to this peer names this file now')
    const leave = use.enter(peerName)
    if (leave === undefined) throw new Refused(429, 'TooManyStreams', 'too many files at once, try again later')
    const transfer = { peerName, wanted, stop: new AbortController() }
    transfers.add(transfer)
    try {
      await send(peerName, stream, headers, { ...wanted, ...grant }, transfer.stop)
    } finally {
      transfers.delete(transfer)
      leave()
    }
  }

  async function send(
    peerName: string,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    { namespace, sha256, requestId }: Wanted & { namespace: string },
    stop: AbortController,
  ): Promise<void> {
    stream.on('close', () => stop.abort(new Error('the peer closed the stream')))
    const blob = await open({ namespace, sha256, headers: partOf(headers) }, stop.signal).catch((error: unknown) => {
      stop.signal.throwIfAborted()
      log.warn({ peer: peerName, error: messageOf(error) }, 'the fetch worker does not answer')
      throw new Refused(503, 'FetchWorkerUnreachable', 'the file cannot be read now, try again')
    })
    try {
      if (blob.status === 404) throw new Refused(404, 'BlobNotFound', 'there is no verified Model with this file now')
      if (![200, 206, 416].includes(blob.status)) throw new Refused(503, 'FetchWorkerUnreachable', 'try again')
      const head: OutgoingHttpHeaders = { ':status': blob.status }
      for (const name of passedOn) {
        const value = blob.headers[name]
        if (typeof value === 'string') head[name] = value
      }
      if (stream.destroyed) return
      stream.respond(head)
      log.info({ peer: peerName, requestId, sha256, range: headers.range }, 'sending a file to a peer')
      const pace = paced({
        spend: (bytes) => {
          metrics.sent(peerName, bytes)
          return use.spend(peerName, bytes)
        },
        stallSeconds: limits.stallSeconds,
        clock,
      })
      await pipeline(blob.body, pace, stream, { signal: stop.signal })
    } finally {
      blob.close()
    }
  }

  return {
    handle(peerName, stream, headers) {
      answer(peerName, stream, headers).then(
        () => metrics.asked(peerName, 'served'),
        (error: unknown) => {
          if (error instanceof Refused) {
            metrics.asked(peerName, 'refused')
            log.warn({ peer: peerName, reason: error.reason, path: printable(headers[':path']) }, error.message)
            refusePeer(stream, error)
            return
          }
          metrics.asked(peerName, 'broken')
          log.info({ peer: peerName, error: messageOf(error) }, 'a file was not sent to its end')
          stream.destroy()
        },
      )
    },
    recheck() {
      for (const { peerName, wanted, stop } of transfers) {
        if (promised(peerName, wanted) === undefined) stop.abort(new Error('the request was ended'))
      }
    },
  }
}

/** The headers by which a part is asked for. */
export function partOf(headers: {
  range?: string | string[] | undefined
  'if-range'?: string | string[] | undefined
}): Record<string, string> {
  const { range, 'if-range': ifRange } = headers
  return {
    ...(typeof range === 'string' && range.length <= 64 && { range }),
    ...(typeof ifRange === 'string' && ifRange.length <= 512 && { 'if-range': ifRange }),
  }
}

function printable(path: string | undefined): string {
  return (path ?? '').slice(0, 256).replace(/[^\x20-\x7e]/g, '?')
}
