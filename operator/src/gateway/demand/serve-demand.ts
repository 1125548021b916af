import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '../../identity/identity.ts'
import { followIdentity, peerUri, serverTls } from '../../identity/tls.ts'
import type { Clock } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { Route } from '../route/route.ts'
import type { DemandReport } from './demand-report.ts'

export type DemandServerDeps = {
  host: string
  port: number
  identity: Identity
  /** URI of the only caller that is let in. */
  operatorUri: string
  routes: () => Iterable<Pick<Route, 'spec' | 'demand'>>
  /** Random for each start of the gateway. */
  instance: string
  clock: Clock
  log: Logger
}

export type DemandServer = {
  url: string
  /** Asks for a report at once: a request began to wait for a service without workers. */
  hurry(): void
  close(): Promise<void>
}

const intervalMs = 1000
const hurryMs = 50
const maxConnections = 32
const maxReaders = 8
const maxServices = 10_000
const slowReaderMs = 5000

type Reader = { response: ServerResponse; fullSince: number | undefined }

/**
 * Serves `GET /v1/demand`: reports as application/x-ndjson, a line at once, one a second, and more when told to hurry, at most every
 * 50 ms. Mutual TLS; whoever is not the operator gets 403. A reader that takes nothing for five seconds is cut off.
 */
export async function serveDemand(deps: DemandServerDeps): Promise<DemandServer> {
  const { clock, log } = deps
  const startedAt = clock.monotonic()
  const readers = new Set<Reader>()
  let ticking: (() => void) | undefined
  let hurrying: (() => void) | undefined
  let lastAt = Number.NEGATIVE_INFINITY

  function line(): string {
    const now = clock.monotonic()
    const services: DemandReport['services'] = []
    for (const { spec, demand } of deps.routes()) {
      const report = demand.report(spec.namespace, spec.service, now)
      if (report !== undefined && services.length < maxServices) services.push(report)
    }
    const report: DemandReport = { instance: deps.instance, elapsedSeconds: (now - startedAt) / 1000, services }
    return `${JSON.stringify(report)}\n`
  }

  function broadcast(): void {
    if (readers.size === 0) return
    const text = line()
    lastAt = clock.monotonic()
    for (const reader of readers) send(reader, text)
  }

  function send(reader: Reader, text: string): void {
    if (reader.fullSince !== undefined) {
      // A report holds everything that the one before held, so a slow reader misses nothing but time.
      if (clock.monotonic() - reader.fullSince > slowReaderMs) {
        log.warn('a reader of the demand report takes nothing; its connection is cut')
        reader.response.destroy()
      }
      return
    }
    if (reader.response.write(text)) return
    reader.fullSince = clock.monotonic()
    reader.response.once('drain', () => {
      reader.fullSince = undefined
    })
  }

  function tick(): void {
    ticking = clock.after(intervalMs, tick)
    broadcast()
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    // The server speaks TLS only.
    if (peerUri(request.socket as TLSSocket) !== deps.operatorUri) {
      refuse(response, 403, 'only the operator may read this')
      return
    }
    if (request.url !== '/v1/demand') refuse(response, 404, 'there is only /v1/demand')
    else if (request.method !== 'GET') refuse(response, 405, 'only GET is answered')
    else if (readers.size >= maxReaders) refuse(response, 429, 'too many readers')
    else {
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
      const reader: Reader = { response, fullSince: undefined }
      readers.add(reader)
      response.on('close', () => readers.delete(reader))
      send(reader, line())
    }
  }

  const server = createServer(
    { ...serverTls(deps.identity), headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 1000 },
    answer,
  )
  server.maxConnections = maxConnections
  server.maxHeadersCount = 32
  server.on('tlsClientError', (error, socket) => {
    log.debug({ error: messageOf(error) }, 'TLS handshake at the internal port failed')
    socket.destroy()
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  const unfollow = followIdentity(server, deps.identity)
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'the internal listener failed'))
  tick()
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    hurry: () => {
      hurrying ??= clock.after(Math.max(0, lastAt + hurryMs - clock.monotonic()), () => {
        hurrying = undefined
        broadcast()
      })
    },
    close: async () => {
      ticking?.()
      hurrying?.()
      unfollow()
      const closed = once(server, 'close')
      server.close()
      // A last line, so that nothing that was counted stays unknown.
      broadcast()
      for (const { response } of readers) response.end()
      const cut = clock.after(500, () => server.closeAllConnections())
      server.closeIdleConnections()
      await closed
      cut()
    },
  }
}

function refuse(response: ServerResponse, status: number, error: string): void {
  const body = JSON.stringify({ error })
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  })
  response.end(body)
}
