import { once } from 'node:events'
import { createServer as createHttp, type Server as HttpServer } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, createServer as createTcp, type Server, type Socket } from 'node:net'
import { createServer as createTls } from 'node:tls'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import { createAuthority } from '../identity/authority.ts'
import { certificateRequest } from '../identity/request.ts'
import { type DialOptions, dialPeer } from './dial-peer.ts'
import { hostAndPortOf } from './open-carrier.ts'
import { pairingOf } from './pairing.ts'
import { acceptorTls, type Pairing } from './peer-tls.ts'

let a: TestOwner
let b: TestOwner
let ours: Pairing
let address: string
const servers: Server[] = []
const sockets = new Set<Socket>()
const never = new AbortController().signal

async function listen<S extends Server>(server: S): Promise<string> {
  servers.push(server)
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function pairing(own: TestOwner, other: TestOwner): Promise<Pairing> {
  const credentials = await own.certificate('gateway')
  const verdict = pairingOf(peerOf(other), identityOf(own), { process: 'gateway', credentials, now: Date.now })
  if (!verdict.ok) throw new Error(verdict.message)
  return verdict.pairing
}

/** A proxy that joins whatever CONNECT names, or answers `refusal`. */
function proxied<S extends HttpServer>(server: S, refusal?: string): S {
  server.on('connect', (request, client) => {
    client.on('error', () => undefined)
    if (refusal !== undefined) return void client.end(refusal)
    const { host, port } = hostAndPortOf(request.url ?? '')
    const upstream = connect({ host, port }, () => client.write('HTTP/1.1 200 Connection Established\r\n\r\n'))
    upstream.on('error', () => client.destroy())
    sockets.add(upstream)
    client.pipe(upstream).pipe(client)
  })
  return server
}

beforeAll(async () => {
  ;[a, b] = await Promise.all([testOwner('a'), testOwner('b')])
  ours = await pairing(a, b)
})

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listenAsPeer(): Promise<void> {
  const theirs = await pairing(b, a)
  const server = createTls(
    acceptorTls(() => theirs, ['hansa-data/1']),
    (socket) => {
      socket.on('error', () => undefined)
      socket.end('welcome')
    },
  )
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  address = await listen(server)
}

async function dialled(options: Partial<DialOptions> = {}): Promise<string> {
  const socket = await dialPeer(ours, { address, alpn: 'hansa-data/1', timeoutSeconds: 10, signal: never, ...options })
  sockets.add(socket)
  const [data] = await once(socket, 'data')
  return String(data)
}

test('a peer is reached directly, through a proxy, and through a proxy that is reached by TLS', async () => {
  await listenAsPeer()
  expect(await dialled()).toBe('welcome')
  const proxy = await listen(proxied(createHttp()))
  expect(await dialled({ proxy: { url: `http://${proxy}/` } })).toBe('welcome')
  const authority = await createAuthority({ trustDomain: 'proxy.test' })
  const { keyPem: key, csrPem } = await certificateRequest()
  const { certPem: cert } = await authority.issue({
    csrPem,
    uri: 'spiffe://proxy.test/ns/a/sa/b',
    dnsNames: ['127.0.0.1', 'localhost'],
    seconds: 60,
  })
  const secure = await listen(proxied(createHttps({ key, cert })))
  const url = `https://localhost:${secure.split(':')[1]}`
  expect(await dialled({ proxy: { url, caBundle: authority.caPem } })).toBe('welcome')
  await expect(dialled({ proxy: { url } })).rejects.toMatchObject({ reason: 'PeerUnreachable' })
})

test('each way to fail has its reason', async () => {
  await listenAsPeer()
  const refusing = await listen(proxied(createHttp(), 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'))
  await expect(dialled({ proxy: { url: `http://${refusing}` } })).rejects.toMatchObject({
    reason: 'ProxyRefused',
    message: expect.stringContaining('407'),
  })
  const babbling = await listen(createTcp((socket) => void socket.on('error', () => {}).write('x'.repeat(20_000))))
  await expect(dialled({ proxy: { url: `http://${babbling}` } })).rejects.toMatchObject({ reason: 'ProxyRefused' })
  const closing = await listen(createTcp((socket) => void socket.destroy()))
  await expect(dialled({ proxy: { url: `http://${closing}` } })).rejects.toMatchObject({ reason: 'ProxyRefused' })
  const silent = await listen(createTcp(() => undefined))
  await expect(dialled({ address: silent, timeoutSeconds: 0.3 })).rejects.toMatchObject({
    reason: 'HandshakeFailed',
    message: expect.stringContaining('no handshake within 0.3 s'),
  })
  await expect(dialled({ address: '127.0.0.1:1' })).rejects.toMatchObject({ reason: 'PeerUnreachable' })
  await expect(dialled({ alpn: 'hansa-control/1' })).rejects.toMatchObject({ reason: 'HandshakeFailed' })
})

test('whoever asked may give up', async () => {
  const silent = await listen(createTcp(() => undefined))
  const asked = new AbortController()
  const failed = dialled({ address: silent, signal: asked.signal })
  asked.abort(new Error('not needed any more'))
  await expect(failed).rejects.toThrow('not needed any more')
})

test('addresses are taken apart, IPv6 too', () => {
  expect(hostAndPortOf('peer.example:8447')).toEqual({ host: 'peer.example', port: 8447 })
  expect(hostAndPortOf('[2001:db8::1]:9444')).toEqual({ host: '2001:db8::1', port: 9444 })
  for (const address of ['', 'peer.example', ':1', 'peer.example:0', 'peer.example:65536', 'peer.example:x']) {
    expect(() => hostAndPortOf(address)).toThrow('is no host:port')
  }
})
