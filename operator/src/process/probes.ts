import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'

// Just below the shortest period of a probe, so that a kubelet asks as often as it would otherwise.
const longestWaitMilliseconds = 900

/**
 * Serves `/livez`, `/readyz` and `/metrics` on plain HTTP for the kubelet and Prometheus. `ready` and `live` return undefined
 * when all is well, else why not, which becomes the body of a 503. Port 0 takes a free one; `url` tells which.
 * While `starting` gives a promise, an answer to `/readyz` waits for it, for 0.9 s at most: a kubelet asks once a second, and
 * would find out half a second late on average. When it settles the answer is what `ready` says then.
 */
export async function startProbes(deps: {
  host: string
  port: number
  ready: () => string | undefined
  live?: () => string | undefined
  starting?: () => Promise<unknown> | undefined
  registry: Registry
}): Promise<{ url: string; close(): Promise<void> }> {
  const { ready, live = () => undefined, registry } = deps
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8192 },
    (request, response) => {
      answer(request, response).catch(() => response.destroy())
    },
  )
  server.maxConnections = 64
  server.listen(deps.port, deps.host)
  await once(server, 'listening')

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return text(response, 405, 'only GET is answered')
    switch (request.url?.split('?', 1)[0]) {
      case '/livez':
        return state(response, live())
      case '/readyz':
        await settled(deps.starting?.())
        return state(response, ready())
      case '/metrics':
        return text(response, 200, await registry.metrics(), registry.contentType)
      default:
        return text(response, 404, 'there are /livez, /readyz and /metrics')
    }
  }

  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function settled(starting: Promise<unknown> | undefined): Promise<void> {
  if (starting === undefined) return
  const waiting = new AbortController()
  const pause = sleep(longestWaitMilliseconds, undefined, { signal: waiting.signal, ref: false }).catch(() => undefined)
  await Promise.race([starting.catch(() => undefined), pause])
  waiting.abort()
}

function state(response: ServerResponse, problem: string | undefined): void {
  text(response, problem === undefined ? 200 : 503, problem ?? 'ok')
}

function text(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
