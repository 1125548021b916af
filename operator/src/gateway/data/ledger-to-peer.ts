import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { readBody } from '../../identity/read-body.ts'
import { peerUri } from '../../identity/tls.ts'
import type { Clock } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'

/** Most bytes of a message between ledgers, and of its answer. */
export const maxLedgerBytes = 1024 * 1024

const pathPattern = /^\/v1\/peers\/([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)\/ledger$/
const answerMs = 30_000
const maxAtOnce = 32

class NotPassed extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/** Passes messages of our ledger on to that of a peer. `handles` tells whether a request is such a message. */
export type LedgerToPeer = {
  handles(request: IncomingMessage): boolean
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>
}

/** Serves `POST /v1/peers/{peer}/ledger` to our ledger: the body goes to the peer's gateway as `POST /v1/ledger`, the answer comes back. */
export function ledgerToPeer(deps: {
  /** URI of the only caller. */
  ledgerUri: string
  callerOf: (peerName: string) => ClientHttp2Session | undefined
  problemOf: (peerName: string) => string
  clock: Clock
}): LedgerToPeer {
  let atOnce = 0

  async function pass(request: IncomingMessage): Promise<{ status: number; body: Buffer }> {
    // The server speaks TLS only.
    if (peerUri(request.socket as TLSSocket) !== deps.ledgerUri) {
      throw new NotPassed(403, 'Forbidden', 'only the ledger may call this')
    }
    if (request.method !== 'POST') throw new NotPassed(405, 'MethodNotAllowed', 'only POST is answered')
    const peerName = pathPattern.exec(request.url ?? '')?.[1] ?? ''
    const session = deps.callerOf(peerName)
    if (session === undefined) {
      const message = `there is no data connection with its gateway: ${deps.problemOf(peerName)}`
      throw new NotPassed(503, 'PeerUnreachable', message)
    }
    if (atOnce >= maxAtOnce) throw new NotPassed(503, 'TooManyRequests', 'too many messages between ledgers at once')
    atOnce += 1
    try {
      const body = await readBody(request, maxLedgerBytes)
      if (body === undefined) throw new NotPassed(413, 'RequestTooLarge', 'a message between ledgers has 1 MiB at most')
      return await call(session, body)
    } finally {
      atOnce -= 1
    }
  }

  async function call(session: ClientHttp2Session, body: string): Promise<{ status: number; body: Buffer }> {
    const head = { ':method': 'POST', ':path': '/v1/ledger', 'content-type': 'application/json' }
    const stream = session.request(head)
    const cancel = deps.clock.after(answerMs, () => stream.destroy(new Error(`no answer within ${answerMs / 1000} s`)))
    try {
      stream.end(body)
      return await answerOf(stream)
    } catch (error) {
      throw new NotPassed(503, 'PeerUnreachable', `the call of its gateway broke: ${messageOf(error)}`)
    } finally {
      cancel()
      stream.destroy()
    }
  }

  return {
    handles: ({ url }) => pathPattern.test(url ?? ''),
    async answer(request, response) {
      try {
        const { status, body } = await pass(request)
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length })
        response.end(body)
      } catch (error) {
        const refused = error instanceof NotPassed ? error : new NotPassed(503, 'PeerUnreachable', messageOf(error))
        const { status, reason, message } = refused
        const body = JSON.stringify({ error: { reason, message: message.slice(0, 1000) } })
        if (status === 413) response.setHeader('connection', 'close')
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        response.end(body)
      }
    },
  }
}

async function answerOf(stream: ClientHttp2Stream): Promise<{ status: number; body: Buffer }> {
  let status = 0
  stream.once('response', (headers) => {
    status = Number(headers[':status'])
  })
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += piece.length
    if (bytes > maxLedgerBytes) throw new Error('the answer is longer than 1 MiB')
    pieces.push(piece)
  }
  if (status === 0) throw new Error('the stream ended before the answer')
  return { status, body: Buffer.concat(pieces) }
}
