import type { ServerHttp2Stream } from 'node:http2'
import { Pool } from 'undici'
import { identityConnector } from '../../identity/connector.ts'
import type { Identity } from '../../identity/identity.ts'
import { tokenBuckets } from '../../identity/token-buckets.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { maxLedgerBytes } from './ledger-to-peer.ts'
import { type PeerHandler, refusePeer } from './serve-peer.ts'

const maxAtOncePerPeer = 4
const bodyMs = 20_000
const answerMs = 25_000

/** Passes messages of a peer's ledger on to ours, with the peer's name from the handshake. */
export type PeerToLedger = { handle: PeerHandler; close(): Promise<void> }

/** Answers `POST /v1/ledger` of peers by what our ledger says to `POST /v1/peers/{peer}/messages`. */
export function peerToLedger(deps: { url: string; uri: string; identity: Identity; log: Logger }): PeerToLedger {
  const { log } = deps
  const pool = new Pool(deps.url, {
    connect: identityConnector(deps.identity, deps.uri),
    connections: 8,
    pipelining: 1,
    headersTimeout: answerMs,
    bodyTimeout: answerMs,
    maxResponseSize: maxLedgerBytes,
  })
  const calls = tokenBuckets({ burst: 100, perSecond: 10, maxKeys: 10_000 })
  const atOnce = new Map<string, number>()

  async function answer(peerName: string, stream: ServerHttp2Stream): Promise<void> {
    const body = await bodyOf(stream)
    if (body === undefined) {
      refusePeer(stream, { status: 413, reason: 'RequestTooLarge', message: 'a message has 1 MiB at most' })
      return
    }
    const signal = AbortSignal.timeout(answerMs)
    const path = `/v1/peers/${peerName}/messages`
    const headers = { 'content-type': 'application/json' }
    const said = await pool.request({ method: 'POST', path, headers, body, signal })
    const text = Buffer.from(await said.body.arrayBuffer())
    if (stream.destroyed) return
    stream.respond({ ':status': said.statusCode, 'content-type': 'application/json' })
    stream.end(text)
  }

  return {
    handle(peerName, stream, headers) {
      const now = atOnce.get(peerName) ?? 0
      if (headers[':method'] !== 'POST' || headers[':path'] !== '/v1/ledger') {
        refusePeer(stream, { status: 405, reason: 'MethodNotAllowed', message: 'only POST /v1/ledger is answered' })
        return
      }
      if (now >= maxAtOncePerPeer || calls.take(peerName) > 0) {
        refusePeer(stream, { status: 429, reason: 'TooManyRequests', message: 'too many messages, try again later' })
        return
      }
      atOnce.set(peerName, now + 1)
      answer(peerName, stream)
        .catch((error: unknown) => {
          log.warn({ peer: peerName, error: messageOf(error) }, 'a message of a ledger could not be passed on')
          refusePeer(stream, {
            status: 503,
            reason: 'LedgerUnreachable',
            message: 'the ledger does not answer, try again',
          })
        })
        .finally(() => {
          const left = (atOnce.get(peerName) ?? 1) - 1
          if (left === 0) atOnce.delete(peerName)
          else atOnce.set(peerName, left)
        })
    },
    close: () => pool.destroy(),
  }
}

async function bodyOf(stream: ServerHttp2Stream): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => stream.destroy(), bodyMs)
  try {
    for await (const piece of stream.iterator({ destroyOnReturn: false })) {
      bytes += piece.length
      if (bytes > maxLedgerBytes) return undefined
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  } finally {
    clearTimeout(timer)
  }
}
