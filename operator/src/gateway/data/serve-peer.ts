import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'

/** Answers one call of a peer, who is known from the handshake of the connection and from nothing else. */
export type PeerHandler = (peerName: string, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** What may be called by peers: the handler of each start of a path, such as `/v1/blobs/`. Everything else does not exist. */
export function servePeer(handlers: Readonly<Record<string, PeerHandler>>): PeerHandler {
  const known = Object.entries(handlers)
  return (peerName, stream, headers) => {
    const path = headers[':path'] ?? ''
    const handle = known.find(([prefix]) => path.startsWith(prefix))?.[1]
    if (handle !== undefined) handle(peerName, stream, headers)
    else refusePeer(stream, { status: 404, reason: 'NotFound', message: 'there is no such path' })
  }
}

/** A short answer in the gateway's own name; ends the stream where an answer has begun. */
export function refusePeer(
  stream: ServerHttp2Stream,
  { status, reason, message, headers }: { status: number; reason: string; message: string; headers?: object },
): void {
  if (stream.destroyed || stream.headersSent) {
    stream.destroy()
    return
  }
  stream.respond({ ':status': status, 'content-type': 'application/json', ...headers })
  stream.end(JSON.stringify({ error: { reason, message } }))
}
