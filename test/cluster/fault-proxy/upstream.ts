import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'

/** The API server behind the proxy. */
export interface Upstream {
  /** Sends a client's request on and resolves when the answer begins; rejects when there is none. */
  forward(request: IncomingMessage, signal: AbortSignal): Promise<IncomingMessage>
  close(): void
}

// They concern one connection only (RFC 9110, section 7.6.1). Compression would hide the events of a watch.
const notForwarded = new Set([
  'connection',
  'keep-alive',
  'te',
  'upgrade',
  'host',
  'accept-encoding',
  'proxy-connection',
  'expect',
])

export function connectUpstream(serverUrl: string, caPem: string): Upstream {
  const agent = new Agent({ keepAlive: true, ca: caPem })
  return {
    async forward(request, signal) {
      const headers = Object.entries(request.headers).filter(([name]) => !notForwarded.has(name))
      const outgoing = httpsRequest(new URL(request.url ?? '/', serverUrl), {
        agent,
        signal,
        method: request.method ?? 'GET',
        headers: Object.fromEntries(headers),
      })
      // `once` reports the first error; later ones reach the readers of the answer.
      outgoing.on('error', () => undefined)
      request.once('close', () => request.complete || outgoing.destroy())
      request.pipe(outgoing)
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      return answer
    },
    close: () => agent.destroy(),
  }
}

/** The headers of an answer that may be passed on. */
export function answerHeaders(answer: IncomingMessage): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(answer.headers)) {
    const isForConnection = ['connection', 'keep-alive', 'transfer-encoding'].includes(name)
    if (value !== undefined && !isForConnection) headers[name] = value
  }
  return headers
}
