import { constants, X509Certificate as NodeCertificate, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls'
import { Agent, request } from 'undici'
import { afterEach, expect, test } from 'vitest'
import { createAuthority } from './authority.ts'
import { identityConnector } from './connector.ts'
import type { Identity } from './identity.ts'
import { privateKeyPem } from './keys.ts'
import { memoryIdentity } from './memory-identity.ts'
import { clientTls, followIdentity, peerUri, serverTls, spiffe } from './tls.ts'
import {
  type JsonGeneralName,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from './x509.ts'

const authority = await createAuthority({ trustDomain: 'city.hansa' })
const workerUri = spiffe('city.hansa', 'radiology', 'triage-worker')
const gatewayUri = spiffe('city.hansa', 'hansa', 'hansa-gateway')
const worker = await memoryIdentity(authority, workerUri)
const gateway = await memoryIdentity(authority, gatewayUri)
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

test('both sides see the one URI of the other', async () => {
  const { port, seen } = await listen(serverTls(worker))
  const socket = await dial(port, clientTls(gateway, workerUri))
  expect(peerUri(socket)).toBe(workerUri)
  expect(peerUri(socket)).toBe(workerUri)
  expect(socket.getProtocol()).toBe('TLSv1.3')
  expect(await seen).toBe(gatewayUri)
  socket.destroy()
})

test('a client leaves a server of the right authority but with another URI', async () => {
  const { port } = await listen(serverTls(gateway))
  await expect(dial(port, clientTls(gateway, workerUri))).rejects.toThrow(`the peer is ${gatewayUri}, not ${workerUri}`)
})

test('a client leaves a server whose URI only begins with the wanted one', async () => {
  const longer = await memoryIdentity(authority, `${workerUri}-2`)
  const { port } = await listen(serverTls(longer))
  await expect(dial(port, clientTls(gateway, workerUri))).rejects.toThrow('not spiffe')
})

test('a client leaves a server of another authority that claims the same trust domain and URI', async () => {
  const impostor = await memoryIdentity(await createAuthority({ trustDomain: 'city.hansa' }), workerUri)
  const { port } = await listen(serverTls(impostor))
  await expect(dial(port, clientTls(gateway, workerUri))).rejects.toThrow(/unable to verify|self-signed/)
})

test('a server refuses a client of another authority, and one without a certificate', async () => {
  const stranger = await memoryIdentity(await createAuthority({ trustDomain: 'city.hansa' }), gatewayUri)
  const { port } = await listen(serverTls(worker))
  const trusting = { ca: authority.caPem, checkServerIdentity: () => undefined }
  const { keyPem, certPem } = stranger.current()
  await expect(exchange(port, { ...trusting, key: keyPem, cert: certPem })).rejects.toThrow(/alert|reset|closed/)
  await expect(exchange(port, trusting)).rejects.toThrow(/alert|reset|closed/)
})

test('an expired certificate is refused on either side', async () => {
  const past = await createAuthority({ trustDomain: 'city.hansa', clock: () => new Date(Date.now() - 3_600_000) })
  const expired = await memoryIdentity(past, workerUri, { seconds: 1800 })
  const valid = await memoryIdentity(past, workerUri, { seconds: 7200 })
  const server = await listen(serverTls(expired))
  await expect(dial(server.port, clientTls(valid, workerUri))).rejects.toThrow('certificate has expired')
  const other = await listen(serverTls(valid))
  await expect(exchange(other.port, clientTls(expired, workerUri))).rejects.toThrow(/expired|reset|closed/)
})

test('a certificate with two URIs, or none, identifies nobody', async () => {
  for (const names of [[workerUri, gatewayUri], [gatewayUri, workerUri], []]) {
    const odd = await handMade(names.map((value) => ({ type: 'url', value })))
    const asServer = await listen(serverTls(odd))
    await expect(dial(asServer.port, clientTls(gateway, workerUri))).rejects.toThrow('not identified by one URI')
    const asClient = await listen(serverTls(worker))
    const socket = await dial(asClient.port, clientTls(odd, workerUri))
    expect(await asClient.seen).toBeUndefined()
    socket.destroy()
  }
})

test('a DNS name that spells a URI is no URI', async () => {
  const odd = await handMade([{ type: 'dns', value: `x, URI:${workerUri}` }])
  const { port } = await listen(serverTls(odd))
  await expect(dial(port, clientTls(gateway, workerUri))).rejects.toThrow('not identified by one URI')
})

test('TLS 1.2 is refused', async () => {
  const { port } = await listen(serverTls(worker))
  const old = { ...clientTls(gateway, workerUri), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
  await expect(dial(port, old)).rejects.toThrow(/version/)
})

test('a session is never resumed, so an expired certificate cannot come back through one', async () => {
  const { port } = await listen(serverTls(worker))
  const options = clientTls(gateway, workerUri)
  const sessions: Buffer[] = []
  const socket = connect({ ...options, host: '127.0.0.1', port })
  socket.on('session', (session) => sessions.push(session))
  await once(socket, 'data')
  socket.destroy()
  for (const session of sessions) {
    const again = await dial(port, { ...options, session })
    expect(again.isSessionReused()).toBe(false)
    again.destroy()
  }
  // The same client does resume where tickets are on: the check above can fail.
  const ticketed = await listen({ ...serverTls(worker), secureOptions: constants.SSL_OP_ALL })
  const first = connect({ ...options, host: '127.0.0.1', port: ticketed.port })
  const [ticket] = await once(first, 'session')
  const second = await dial(ticketed.port, { ...options, session: ticket })
  expect(second.isSessionReused()).toBe(true)
  first.destroy()
  second.destroy()
})

test('a server that follows its identity shows the renewed certificate to new connections and keeps the open ones', async () => {
  const renewing = await memoryIdentity(authority, workerUri)
  const { port, server } = await listen(serverTls(renewing))
  const stop = followIdentity(server, renewing)
  const before = await dial(port, clientTls(gateway, workerUri))
  const first = before.getPeerCertificate().serialNumber
  await renewing.renew()
  const after = await dial(port, clientTls(gateway, workerUri))
  expect(after.getPeerCertificate().serialNumber).not.toBe(first)
  expect(after.getPeerCertificate().serialNumber).toBe(new NodeCertificate(renewing.current().certPem).serialNumber)
  expect(before.destroyed).toBe(false)
  stop()
  before.destroy()
  after.destroy()
})

test('calls through undici fail none while both sides renew as fast as they can', async () => {
  const { createServer: createHttps } = await import('node:https')
  const [left, right] = [await memoryIdentity(authority, gatewayUri), await memoryIdentity(authority, workerUri)]
  const server = createHttps({ ...serverTls(right), keepAliveTimeout: 5 }, (incoming, response) => {
    // The socket of an https server is a TLSSocket.
    response.end(peerUri(incoming.socket as TLSSocket))
  })
  const stop = followIdentity(server, right)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ connect: identityConnector(left, workerUri), keepAliveTimeout: 1, pipelining: 0 })
  let calling = true
  let renewals = 0
  const renewing = (async () => {
    while (calling) {
      await Promise.all([left.renew(), right.renew()])
      renewals++
    }
  })()
  const results = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const seen = new Set<string>()
      for (let n = 0; n < 25; n++) {
        const { body } = await request(`https://127.0.0.1:${port}/`, { dispatcher: agent })
        seen.add(await body.text())
      }
      return [...seen]
    }),
  )
  calling = false
  await renewing
  stop()
  await agent.close()
  server.close()
  expect(results).toEqual(Array.from({ length: 8 }, () => [gatewayUri]))
  expect(renewals).toBeGreaterThan(10)
})

async function listen(options: TlsOptions) {
  const seen = Promise.withResolvers<string | undefined>()
  const server = createServer(options, (socket) => {
    socket.on('error', () => socket.destroy())
    seen.resolve(peerUri(socket))
    socket.write('hello')
  })
  server.on('tlsClientError', () => {})
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, server, seen: seen.promise }
}

async function dial(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ ...options, host: '127.0.0.1', port })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

/** In TLS 1.3 a client learns that its certificate was refused only when it reads. */
async function exchange(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ ...options, host: '127.0.0.1', port })
  const closed = once(socket, 'end').then(() => Promise.reject(new Error('closed')))
  const [data] = await Promise.race([once(socket, 'data'), closed])
  socket.destroy()
  return String(data)
}

/** What our authority never issues: any names at all under its key. */
async function handMade(names: JsonGeneralName[]): Promise<Identity> {
  const ca = await authority.toPem()
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
  const pkcs8 = Buffer.from(ca.keyPem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign'])
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.create({
    serialNumber: '01',
    subject: 'CN=odd',
    issuer: new X509Certificate(ca.certPem).subjectName,
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + 60_000),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension(names.length > 0 ? names : [{ type: 'dns', value: 'a.example' }])],
  })
  const credentials = { keyPem: await privateKeyPem(keys), certPem: certificate.toString('pem'), caPem: ca.certPem }
  return { uri: 'odd', current: () => credentials, onRenewed: () => () => {}, close: async () => {} }
}
