import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '../identity/identity.ts'
import { readBody } from '../identity/read-body.ts'
import { Refusal } from '../identity/refusal.ts'
import { followIdentity, peerUri, serverTls } from '../identity/tls.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'

const maxBodyBytes = 1024 * 1024
const messagesPath = /^\/v1\/peers\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)\/messages$/

export type GatewayServerDeps = {
  host: string
  port: number
  identity: Identity
  /** URI of the only callers. */
  gatewayUri: string
  takeRecords: (body: unknown) => Promise<object>
  /** A message of the ledger of a peer, whose name the gateway knows from the handshake; the rest is the message's own matter. */
  takeMessage: (peerName: string, body: unknown) => Promise<object>
  log: Logger
}

/** Serves our gateways over mutual TLS: `POST /v1/records`, and `POST /v1/peers/{peer}/messages`. */
export async function serveGateways(deps: GatewayServerDeps): Promise<{ url: string; close(): Promise<void> }> {
  const { log } = deps

  async function answer(request: IncomingMessage): Promise<object> {
    // The server speaks TLS only.
    if (peerUri(request.socket as TLSSocket) !== deps.gatewayUri) {
      throw new Refusal(403, 'Forbidden', 'only the gateways may call this')
    }
    const peerName = messagesPath.exec(request.url ?? '')?.[1]
    if (peerName === undefined && request.url !== '/v1/records')
      throw new Refusal(404, 'NotFound', 'there is no such path')
    if (request.method !== 'POST') throw new Refusal(405, 'MethodNotAllowed', 'only POST is answered')
    const text = await readBody(request, maxBodyBytes)
    if (text === undefined) throw new Refusal(413, 'RequestTooLarge', `the body is longer than ${maxBodyBytes} bytes`)
    const body = parsed(text)
    return peerName === undefined ? deps.takeRecords(body) : deps.takeMessage(peerName, body)
  }

  const server = createServer(
    { ...serverTls(deps.identity), headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 15_000 },
    (request, response) => {
      response.on('error', () => undefined)
      answer(request).then(
        (said) => send(response, 200, said),
        (error: unknown) => {
          const { status, reason, message } = refusalOf(error)
          if (status >= 500)
            log.warn(
              { path: request.url?.slice(0, 300), reason, error: messageOf(error) },
              'a gateway was not answered',
            )
          response.setHeader('connection', 'close')
          send(response, status, { error: { reason, message } })
        },
      )
    },
  )
  server.maxConnections = 256
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unfollow = followIdentity(server, deps.identity)
  server.listen(deps.port, deps.host)
  await once(server, 'listening')
  server.on('error', (error) => log.error({ error: messageOf(error) }, 'the listener for gateways failed'))
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://${deps.host.includes(':') ? `[${deps.host}]` : deps.host}:${port}`,
    close: async () => {
      unfollow()
      const closed = once(server, 'close')
      // A connection whose handshake is under way is in no list yet, and would be kept open by the gateway's next batch.
      server.on('secureConnection', (socket) => socket.destroy())
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal(400, 'RequestInvalid', 'the body is not JSON')
  }
}

function refusalOf(error: unknown): { status: number; reason: string; message: string } {
  if (error instanceof Refusal) return error
  if (error instanceof HansaError) return { status: 503, reason: error.reason, message: error.message }
  return { status: 503, reason: 'InternalError', message: 'the request failed, try again' }
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
