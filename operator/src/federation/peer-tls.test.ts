import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import type { Peer } from '../api/peer.ts'
import { createAuthority } from '../identity/authority.ts'
import { certificateRequest } from '../identity/request.ts'
import { pairingOf } from './pairing.ts'
import { acceptorTls, diallerTls, type Pairing, pairingOfServerName, problemOfPeer } from './peer-tls.ts'

let a: TestOwner
let b: TestOwner
let c: TestOwner
const open: { close(): void }[] = []

beforeAll(async () => {
  ;[a, b, c] = await Promise.all([testOwner('a'), testOwner('b'), testOwner('c')])
})
afterEach(() => {
  for (const each of open.splice(0)) each.close()
})

type Options = {
  process?: 'link' | 'gateway'
  certificate?: { keyPem: string; certPem: string }
  peer?: (peer: Peer) => void
}

/** How `own` knows `other`, with a certificate of its own. */
async function pairing(own: TestOwner, other: TestOwner, options: Options = {}): Promise<Pairing> {
  const { process = 'gateway' } = options
  const credentials = options.certificate ?? (await own.certificate(process))
  const peer = peerOf(other, other.bundle.ownerId)
  options.peer?.(peer)
  const verdict = pairingOf(peer, identityOf(own), { process, credentials, now: () => Date.now() })
  if (!verdict.ok) throw new Error(verdict.message)
  return verdict.pairing
}

type Accepted = { socket: TLSSocket; pairing: Pairing | undefined; problem: string | undefined }

/** Listens as an owner that knows these peers. */
async function acceptor(pairings: Pairing[]) {
  const find = (peer: string, own: string) =>
    pairings.find(({ peerTrustDomain, ownTrustDomain }) => peerTrustDomain === peer && ownTrustDomain === own)
  const accepted: Accepted[] = []
  const refused: string[] = []
  const server = createServer(acceptorTls(find, ['hansa-data/1']), (socket) => {
    const found = pairingOfServerName(socket.servername, find)
    const problem = problemOfPeer(socket, found)
    accepted.push({ socket, pairing: found, problem })
    socket.on('error', () => undefined)
    if (problem === undefined) socket.write('welcome')
    else socket.destroy()
  })
  server.on('tlsClientError', (error, socket) => {
    refused.push(error.message)
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: () => {
      for (const { socket } of accepted) socket.destroy()
      server.close()
    },
  })
  return { port: (server.address() as AddressInfo).port, accepted, refused }
}

/** What becomes of a dialled connection: TLS 1.3 clients hear of a refused certificate only with the first bytes. */
async function dial(port: number, options: ReturnType<typeof diallerTls>): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  open.push({ close: () => socket.destroy() })
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve(error.message))
    socket.on('close', () => resolve('closed'))
    socket.on('data', () => resolve(`connected ${socket.alpnProtocol}`))
  })
}

test('two owners meet by the name of both, and each sees the other as its peer', async () => {
  const server = await acceptor([await pairing(b, c), await pairing(b, a)])
  const ours = await pairing(a, b)
  expect(await dial(server.port, diallerTls(ours, 'hansa-data/1'))).toBe('connected hansa-data/1')
  expect(server.accepted).toMatchObject([
    { problem: undefined, pairing: { peerName: 'a', ownTrustDomain: b.bundle.trustDomain } },
  ])
})

test('nobody gets in by another name, another authority, another process, another protocol, or without a name', async () => {
  const server = await acceptor([await pairing(b, a), await pairing(b, c)])
  const ours = await pairing(a, b)
  const good = diallerTls(ours, 'hansa-data/1')
  const attempts: Record<string, ReturnType<typeof diallerTls>> = {
    // C's own good certificate, in a connection that it calls A's.
    otherPeer: {
      ...good,
      ...(await c.certificate('gateway').then(({ keyPem, certPem }) => ({ key: keyPem, cert: certPem }))),
    },
    // An authority of somebody's own makes a certificate with A's name.
    minted: { ...good, ...(await minted(a)) },
    unknownOwner: diallerTls({ ...ours, ownTrustDomain: 'a'.repeat(52) }, 'hansa-data/1'),
    twisted: diallerTls(
      { ...ours, ownTrustDomain: ours.peerTrustDomain, peerTrustDomain: ours.ownTrustDomain },
      'hansa-data/1',
    ),
    otherProtocol: { ...good, ALPNProtocols: ['hansa-control/1'] },
    noCertificate: { ...good, key: undefined, cert: undefined },
    nameless: { ...good, servername: '', checkServerIdentity: () => undefined, rejectUnauthorized: false },
    oldTls: { ...good, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
  }
  for (const [name, options] of Object.entries(attempts)) {
    expect(await dial(server.port, options), name).not.toMatch(/^connected/)
  }
  expect(server.accepted.filter(({ problem }) => problem === undefined)).toEqual([])
  // A link's certificate passes the authority and is seen afterwards.
  const link = await a.certificate('link')
  await dial(server.port, { ...good, key: link.keyPem, cert: link.certPem })
  expect(server.accepted.at(-1)?.problem).toContain('WrongName')
})

test('the dialler refuses an acceptor that is not the peer', async () => {
  const impostor = await pairing(b, a, { certificate: await c.certificate('gateway') })
  const server = await acceptor([impostor])
  const ours = await pairing(a, b)
  expect(await dial(server.port, diallerTls(ours, 'hansa-data/1'))).not.toMatch(/^connected/)
  const link = await acceptor([await pairing(b, a, { certificate: await b.certificate('link') })])
  expect(await dial(link.port, diallerTls(ours, 'hansa-data/1'))).toContain('WrongName')
})

test('a revoked certificate, a peer that is gone and an expired bundle end a connection that lives', async () => {
  const server = await acceptor([await pairing(b, a)])
  const ours = await pairing(a, b)
  expect(await dial(server.port, diallerTls(ours, 'hansa-data/1'))).toMatch(/^connected/)
  const [{ socket } = { socket: undefined }] = server.accepted
  if (socket === undefined) throw new Error('nothing accepted')
  expect(problemOfPeer(socket, undefined)).toContain('no verified peer')
  const { serialNumber } = socket.getPeerCertificate()
  const revoking = await testOwner('unused')
  expect(problemOfPeer(socket, await pairing(b, revoking))).toContain('WrongName')
  await a.publish({ revoked: [serialNumber.toLowerCase()] })
  expect(problemOfPeer(socket, await pairing(b, a))).toContain('Revoked')
  await a.publish({ revoked: [] })
  const later = pairingOf(peerOf(a), identityOf(b), {
    process: 'gateway',
    credentials: await b.certificate('gateway'),
    now: () => Date.now(),
  })
  if (!later.ok) throw new Error(later.message)
  expect(later.pairing.problemOf(socket.getPeerCertificate().raw)).toBeUndefined()
})

test('there is no pairing with who is suspended, unverified or without a valid bundle', async () => {
  const credentials = await a.certificate('gateway')
  const verdict = (change: (peer: Peer) => void, own = credentials, now = Date.now()) => {
    const peer = peerOf(b)
    change(peer)
    const found = pairingOf(peer, identityOf(a), { process: 'gateway', credentials: own, now: () => now })
    return found.ok ? 'ok' : found.reason
  }
  expect(verdict(() => undefined)).toBe('ok')
  expect(verdict(({ spec }) => Object.assign(spec, { suspend: true }))).toBe('Suspended')
  expect(verdict(({ status }) => Object.assign(status ?? {}, { conditions: [] }))).toBe('NotVerified')
  expect(verdict(({ spec }) => Object.assign(spec, { rootKey: a.bundle.rootKey }))).toBe('BundleInvalid')
  expect(verdict(() => undefined, credentials, Date.now() + 48 * 3_600_000)).toBe('BundleInvalid')
  const noOwn = pairingOf(peerOf(b), identityOf(a), { process: 'gateway', credentials: undefined, now: Date.now })
  expect(noOwn).toMatchObject({ ok: false, reason: 'NoCertificate' })
})

/** A certificate with `victim`'s name by an authority that is not the victim's. */
async function minted(victim: TestOwner): Promise<{ key: string; cert: string }> {
  const { keyPem, csrPem } = await certificateRequest()
  const { trustDomain, clusterName } = victim.bundle
  const authority = await createAuthority({ trustDomain })
  const uri = `spiffe://${trustDomain}/cluster/${clusterName}/gateway`
  const { certPem } = await authority.issue({ csrPem, uri, seconds: 60 })
  return { key: keyPem, cert: certPem }
}
