import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { ServerCertificate } from './server-certificate.ts'

export type UserServerDeps = {
  host: string
  port: number
  certificate: ServerCertificate
  maxConnections: number
  headerSeconds: number
  idleSeconds: number
  onRequest: (request: IncomingMessage, response: ServerResponse) => void
  onTlsError: () => void
  log: Logger
}

export type UserServer = {
  url: string
  /** Stops taking connections and closes idle ones; resolves when the last is gone, at the latest when the signal aborts. */
  close(signal: AbortSignal): Promise<void>
}

const maxHeaderBytes = 16 * 1024

const refusals: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** The listener that users reach: HTTP/1.1 over TLS 1.2 or newer, with limits on everything that a stranger controls. */
export async function startUserServer(deps: UserServerDeps): Promise<UserServer> {
  const { log } = deps
  const server = createServer({
    ...tlsOptions(deps.certificate),
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: deps.headerSeconds * 1000,
    // The deadline of the service bounds the rest of a request; this one would cut long uploads that the service allows.
    requestTimeout: 0,
    keepAliveTimeout: deps.idleSeconds * 1000,
    connectionsCheckingInterval: Math.min(5000, deps.headerSeconds * 500),
    insecureHTTPParser: false,
    requireHostHeader: false, // readHead refuses in the same form as everything else
    noDelay: true,
  })
  server.maxConnections = deps.maxConnections
  server.maxRequestsPerSocket = 0
  const answering = new WeakMap<Socket, ServerResponse>()
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const previous = answering.get(request.socket)
    // What was sent behind a request that ends the connection may be the rest of that request, read differently.
    if (previous?.shouldKeepAlive === false) return
    answering.set(request.socket, response)
    deps.onRequest(request, response)
  }
  server.on('request', onRequest)
  // The body is asked for only after the request was let in.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('connect', (_request, socket: Socket) => refuseRaw(socket, '405 Method Not Allowed', 'no tunnels'))
  server.on('upgrade', (_request, socket: Socket) => refuseRaw(socket, '400 Bad Request', 'no protocol upgrades'))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const response = answering.get(socket)
    // Words of ours in the middle of an answer that has begun would read as part of it.
    const midAnswer = response?.headersSent === true && !response.writableFinished
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else if (midAnswer) socket.destroySoon()
    else refuseRaw(socket, refusals[error.code ?? ''] ?? '400 Bad Request', 'the request is not valid HTTP/1.1')
  })
  // A failed handshake (bad SNI, no common version, garbage) ends that connection only.
  server.on('tlsClientError', (error, socket) => {
    deps.onTlsError()
    log.debug({ error: messageOf(error) }, 'TLS handshake failed')
    socket.destroy()
  })
  server.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()))
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'listener failed'))
  const unsubscribe = deps.certificate.onChanged(() => {
    try {
      server.setSecureContext(tlsOptions(deps.certificate))
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the new certificate cannot be used; the old one stays')
    }
  })
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: (signal) => {
      unsubscribe()
      return closeServer(server, signal)
    },
  }
}

async function closeServer(server: Server, signal: AbortSignal): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const cut = () => server.closeAllConnections()
  if (signal.aborted) cut()
  else signal.addEventListener('abort', cut, { once: true })
  await closed
  signal.removeEventListener('abort', cut)
}

function tlsOptions(certificate: ServerCertificate): TlsOptions {
  return { ...userTls(certificate), ALPNProtocols: ['http/1.1'] }
}

/** TLS towards users, whichever protocol they speak. */
export function userTls(certificate: ServerCertificate): TlsOptions {
  const { keyPem, certPem } = certificate.current()
  return {
    key: keyPem,
    cert: certPem,
    minVersion: 'TLSv1.2',
    // Forward secrecy and authenticated encryption also for TLS 1.2 (RFC 9325 section 4.2).
    ciphers:
      'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: 10_000,
  }
}

function refuseRaw(socket: Socket, status: string, error: string): void {
  const body = JSON.stringify({ error })
  socket.on('error', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
