import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Authenticator, bearerToken } from '../../gateway/auth/authenticator.ts'
import type { Identity } from '../../identity/identity.ts'
import { Refusal } from '../../identity/refusal.ts'
import { followIdentity, serverOnlyTls } from '../../identity/tls.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { type ReaderDeps, type Reply, routes } from './routes.ts'

export type ReaderServerDeps = ReaderDeps & {
  host: string
  port: number
  identity: Identity
  /** Of the cluster's own issuer, audience `hansa-ledger`. */
  authenticator: Pick<Authenticator, 'known' | 'verify'>
  /** The only caller: service account `hansa-auditor` of this namespace. */
  namespace: string
  log: Logger
}

export const auditorAccount = 'hansa-auditor'
export const auditorAudience = 'hansa-ledger'
/** Each may read a whole month; more would keep gateways waiting for the books. */
const mostAtOnce = 4
const longestAnswerMilliseconds = 600_000

/** Serves auditors over TLS: see `routes`. Who calls is told by a bearer token, since people have no certificates of the cluster. */
export async function serveReaders(deps: ReaderServerDeps): Promise<{ url: string; close(): Promise<void> }> {
  const { log, identity } = deps
  const stopping = new AbortController()
  let running = 0

  async function isAuditor(request: IncomingMessage): Promise<boolean> {
    const token = bearerToken(request.headers.authorization)
    if (token === undefined) return false
    const known = deps.authenticator.known(token)
    const verdict = known === undefined ? await deps.authenticator.verify(token, stopping.signal) : { principal: known }
    if ('refused' in verdict) {
      if (verdict.refused === 'unavailable') throw new Refusal(503, 'Unavailable', 'tokens cannot be checked now')
      return false
    }
    const { principal } = verdict
    if (
      principal.kind === 'serviceAccount' &&
      principal.namespace === deps.namespace &&
      principal.name === auditorAccount
    )
      return true
    throw new Refusal(403, 'Forbidden', `only service account ${deps.namespace}/${auditorAccount} may read the ledger`)
  }

  async function answer(request: IncomingMessage, signal: AbortSignal): Promise<Reply> {
    if (!(await isAuditor(request))) throw new Refusal(401, 'Unauthorized', 'a bearer token is needed')
    if ((request.url ?? '').length > 4096) throw new Refusal(414, 'RequestTooLarge', 'the address is too long')
    const url = new URL(request.url ?? '/', 'https://ledger')
    const name = `${request.method} ${url.pathname}`
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined
    if (route === undefined) throw new Refusal(404, 'NotFound', 'there is no such path')
    if (running >= mostAtOnce) throw new Refusal(429, 'TooManyRequests', 'others read the ledger, try again later')
    return route(Object.fromEntries(url.searchParams), deps, signal)
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, stopping.signal, AbortSignal.timeout(longestAnswerMilliseconds)])
    const reply = await answer(request, signal)
    if ('json' in reply) {
      send(response, 200, reply.json)
      return
    }
    running += 1
    try {
      response.writeHead(200, { 'content-type': 'application/jsonl' })
      await pipeline(Readable.from(reply.lines), response, { signal })
    } finally {
      running -= 1
    }
  }

  const listen = async (host: string, port: number) => {
    const server = createServer(
      { ...serverOnlyTls(identity), headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 16_384 },
      (request, response) => {
        response.on('error', () => undefined)
        request.resume() // no route has a body
        handle(request, response).catch((error: unknown) => {
          const { status, reason, message } = refusalOf(error)
          if (status >= 500) log.warn({ reason, error: messageOf(error) }, 'an auditor was not answered')
          // Lines that broke off have no end, by which whoever verifies them sees it.
          if (response.headersSent) response.destroy()
          else send(response, status, { error: { reason, message } })
        })
      },
    )
    server.maxConnections = 64
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    const unfollow = followIdentity(server, identity, serverOnlyTls)
    server.listen(port, host)
    await once(server, 'listening')
    server.on('error', (error) => log.error({ error: messageOf(error) }, 'the listener for auditors failed'))
    return { server, unfollow }
  }

  const first = await listen(deps.host, deps.port)
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = first.server.address() as AddressInfo
  // kubectl port-forward comes to the loopback address of the pod, which nobody else reaches.
  const listeners = isLoopback(deps.host) ? [first] : [first, await listen('127.0.0.1', port)]
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: async () => {
      stopping.abort()
      await Promise.all(
        listeners.map(async ({ server, unfollow }) => {
          unfollow()
          const closed = once(server, 'close')
          server.close()
          server.closeAllConnections()
          await closed
        }),
      )
    },
  }
}

const isLoopback = (host: string) => host.startsWith('127.') || host === '::1'

function refusalOf(error: unknown): { status: number; reason: string; message: string } {
  if (error instanceof Refusal) return error
  if (error instanceof HansaError) return { status: 503, reason: error.reason, message: error.message }
  return { status: 503, reason: 'InternalError', message: 'the request failed, try again' }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
