import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { readLog } from './log-stream.ts'

export interface KubeletServerOptions {
  readonly address: string
  readonly caPem: string
  readonly credential: { readonly certPem: string; readonly keyPem: string }
  /** Finds the log of a container. */
  readonly findLog: (query: LogQuery) => FoundLog | string
}

export interface LogQuery {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  readonly previous: boolean
}

export interface FoundLog {
  readonly path: string
  /** Whether the container still writes to it. */
  readonly live: () => boolean
}

export interface KubeletServer {
  readonly port: number
  /** Cuts all connections and accepts none while offline. */
  setOffline(offline: boolean): void
  close(): Promise<void>
}

const usualPort = 10_250

/** Serves what the API server asks of a kubelet for `kubectl logs`, to its kubelet client certificate alone. */
export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  let offline = false
  const server = createServer(
    {
      cert: options.credential.certPem,
      key: options.credential.keyPem,
      ca: options.caPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      answer(request, response, options).catch((error) => {
        if (response.headersSent) response.destroy()
        else response.writeHead(500).end(messageOf(error))
      })
    },
  )
  const sockets = new Set<TLSSocket>()
  server.on('secureConnection', (socket) => {
    if (offline) return socket.destroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const listen = (port: number) =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject)
      // A listening TCP server's address is an object.
      server.listen(port, options.address, () => resolve((server.address() as AddressInfo).port))
    })
  return {
    port: await listen(usualPort).catch(() => listen(0)),
    setOffline(value) {
      offline = value
      if (value) cut()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: KubeletServerOptions,
): Promise<void> {
  // requestCert makes every socket of this server a TLS socket with a verified peer.
  const { subject } = (request.socket as TLSSocket).getPeerCertificate()
  if (![subject?.O].flat().includes('system:masters')) return void response.writeHead(403).end('forbidden')
  const url = new URL(request.url ?? '/', 'https://kubelet')
  const [, verb, ...names] = url.pathname.split('/').map(decodeURIComponent)
  if (verb === 'healthz') return void response.end('ok')
  const [namespace = '', pod = '', container = ''] = names
  if (verb !== 'containerLogs' || request.method !== 'GET') return void response.writeHead(404).end('not found')

  const found = options.findLog({ namespace, pod, container, previous: url.searchParams.get('previous') === 'true' })
  if (typeof found === 'string') return void response.writeHead(400, { 'content-type': 'text/plain' }).end(found)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const follow = url.searchParams.get('follow') === 'true'
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.flushHeaders()
  for await (const chunk of readLog(found.path, {
    tailLines: wholeNumber(url.searchParams.get('tailLines')),
    limitBytes: wholeNumber(url.searchParams.get('limitBytes')),
    follow: () => follow && found.live(),
    signal: gone.signal,
  })) {
    if (!response.write(chunk))
      await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve))
  }
  response.end()
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
