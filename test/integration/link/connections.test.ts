import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { guestWorks, identities, peers } from '@hansa/operator/kube/hansa-resources.ts'
import { afterEach, expect, test } from 'vitest'
import { identityOf } from '../../builders/federation.ts'
import { eventually } from '../gateway/gateway-under-test.ts'
import { startConnectProxy } from './connect-proxy.ts'
import { answer, guestOf, type LinkedOwner, type RigOptions, remoteOf, startLinkedOwner } from './link-rig.ts'

const running: { stop(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

async function kept<T extends { stop(): Promise<unknown> }>(starting: Promise<T>): Promise<T> {
  const started = await starting
  running.push(started)
  return started
}

/** Two owners, of which the first dials. */
async function pair(options: { dialler?: RigOptions; acceptor?: RigOptions; spec?: Partial<Peer['spec']> } = {}) {
  const [dialler, acceptor] = await Promise.all([
    kept(startLinkedOwner('clinic', options.dialler)),
    kept(startLinkedOwner('university', options.acceptor)),
  ])
  acceptor.knows(dialler, { dial: 'Them' })
  dialler.knows(acceptor, { dial: 'Us', address: `127.0.0.1:${acceptor.link.port}`, ...options.spec })
  return { dialler, acceptor }
}

const linkOf = (owner: LinkedOwner, peer: string) => owner.cluster.read(peers, { name: peer })?.status?.links?.[0]
const connected = (owner: LinkedOwner, peer: string) =>
  eventually(() => expect(linkOf(owner, peer)?.connected).toBe(true), 30)
const both = ({ dialler, acceptor }: { dialler: LinkedOwner; acceptor: LinkedOwner }) =>
  Promise.all([connected(dialler, 'university'), connected(acceptor, 'clinic')])

/** Asks and answers once, over whatever connections there are. */
async function talk(from: LinkedOwner, to: LinkedOwner): Promise<void> {
  const id = await from.ask(to.name)
  await eventually(() => expect(guestOf(to, from.name, id)).toBeDefined(), 30)
  await answer(to, from.name, id)
  await eventually(() => expect(remoteOf(from, id)?.status?.inbox?.[0]?.kind).toBe('Answer'), 30)
}

test('requests go in both directions over connections that one side opened', async () => {
  const { dialler, acceptor } = await pair()
  await talk(dialler, acceptor)
  await talk(acceptor, dialler)
})

test('a proxy that knows CONNECT is gone through, in plain and over TLS of a private authority', async () => {
  const authority = await createAuthority({ trustDomain: 'proxy.test' })
  const identity = await memoryIdentity(authority, 'spiffe://proxy.test/ns/a/sa/proxy', { dnsNames: ['localhost'] })
  const { keyPem, certPem } = identity.current()
  const plain = await kept(startConnectProxy())
  const secure = await kept(startConnectProxy({ key: keyPem, cert: certPem }))
  const { dialler, acceptor } = await pair({ spec: { proxy: { url: plain.url } } })
  await talk(acceptor, dialler)
  expect(plain.targets).toContain(`127.0.0.1:${acceptor.link.port}`)
  dialler.cluster.change(peers, { name: 'university' }, (peer) => {
    peer.spec.proxy = { url: secure.url, caBundle: authority.caPem }
  })
  plain.cut(true)
  await eventually(() => expect(secure.targets.length).toBeGreaterThan(1), 30)
  await talk(acceptor, dialler)
})

test('a cut connection comes back, and what was asked meanwhile is delivered', async () => {
  const proxy = await kept(startConnectProxy())
  const { dialler, acceptor } = await pair({ spec: { proxy: { url: proxy.url } } })
  await both({ dialler, acceptor })
  proxy.cut(true)
  await eventually(() => expect(linkOf(acceptor, 'clinic')?.connected).toBe(false))
  const id = await dialler.ask('university')
  proxy.cut(false)
  await eventually(() => expect(guestOf(acceptor, 'clinic', id)).toBeDefined(), 30)
})

test.each([
  { ours: [2, 1], theirs: [1], common: 1 },
  { ours: [1], theirs: [2, 1], common: 1 },
  { ours: [3, 2], theirs: [2, 1], common: 2 },
])('versions $ours and $theirs work together as $common', async ({ ours, theirs, common }) => {
  const owners = await pair({ dialler: { versions: ours }, acceptor: { versions: theirs } })
  await both(owners)
  expect(linkOf(owners.dialler, 'university')?.protocolVersion).toBe(common)
  expect(linkOf(owners.acceptor, 'clinic')?.protocolVersion).toBe(common)
  await talk(owners.dialler, owners.acceptor)
  await talk(owners.acceptor, owners.dialler)
  // How the other stands arrives with any version.
  await owners.acceptor.owner.publish()
  owners.acceptor.cluster.put(identities, identityOf(owners.acceptor.owner))
  await eventually(() => expect(linkOf(owners.dialler, 'university')?.bundle).toBe(owners.acceptor.owner.envelope))
})

test('without a common version nothing is called, and both sides say so', async () => {
  const { dialler, acceptor } = await pair({ dialler: { versions: [4, 3] }, acceptor: { versions: [2, 1] } })
  await eventually(() => expect(linkOf(dialler, 'university')?.protocolVersion).toBe(0))
  await eventually(() => expect(linkOf(acceptor, 'clinic')?.protocolVersion).toBe(0))
  const id = await dialler.ask('university')
  await expect(eventually(() => expect(guestOf(acceptor, 'clinic', id)).toBeDefined(), 1)).rejects.toThrow()
  expect(linkOf(dialler, 'university')).toMatchObject({ connected: false, reason: 'NoCommonVersion' })
})

test('a revoked certificate cuts the living connection at once, a new one is let in', async () => {
  const owners = await pair()
  const { dialler, acceptor } = owners
  await both(owners)
  const serial = new X509Certificate(dialler.certificates.current?.certPem ?? '').serialNumber.toLowerCase()
  const envelope = await dialler.owner.publish({ revoked: [serial] })
  const { sequence, notAfter } = dialler.owner.bundle
  acceptor.cluster.change(peers, { name: 'clinic' }, (peer) => {
    peer.status = { ...peer.status, bundle: { sequence, notAfter, envelope } }
  })
  await eventually(() => expect(acceptor.link.peerings.of('clinic')).toEqual([]), 5)
  expect(acceptor.logLines.some(({ reason }) => reason === 'CertificateRevoked')).toBe(true)
  await dialler.certificates.renew()
  await both(owners)
})

test('a frozen peer is told so, then cut, and comes back when it is not frozen any more', async () => {
  const owners = await pair()
  const { dialler, acceptor } = owners
  await both(owners)
  const goodbye = await acceptor.seal('Goodbye', 'clinic', { sequence: 1, state: 'Frozen' })
  acceptor.cluster.change(peers, { name: 'clinic' }, (peer) => {
    peer.spec.suspend = true
  })
  acceptor.cluster.change(peers, { name: 'clinic' }, (peer) => {
    peer.status = { ...peer.status, statement: { goodbye } }
  })
  await eventually(() => expect(linkOf(dialler, 'university')?.goodbye).toBe(goodbye))
  await eventually(() => expect(acceptor.link.peerings.of('clinic')).toEqual([]))
  await eventually(() => expect(linkOf(acceptor, 'clinic')).toMatchObject({ connected: false, reason: 'Suspended' }))
  acceptor.cluster.change(peers, { name: 'clinic' }, (peer) => {
    peer.spec.suspend = false
    peer.status = { ...peer.status, statement: {} }
  })
  await both(owners)
})

test('an unverified peer gets no connection', async () => {
  const { dialler, acceptor } = await pair()
  await both({ dialler, acceptor })
  acceptor.cluster.change(peers, { name: 'clinic' }, (peer) => {
    const [verified] = peer.status?.conditions ?? []
    if (verified !== undefined) Object.assign(verified, { status: 'False', reason: 'Unverified' })
  })
  await eventually(() => expect(acceptor.link.peerings.of('clinic')).toEqual([]))
  await eventually(() => expect(linkOf(dialler, 'university')?.connected).toBe(false))
})

test('owners that know only expired bundles of each other find back by themselves', async () => {
  const { dialler, acceptor } = await pair()
  await both({ dialler, acceptor })
  const forget = async (owner: LinkedOwner, peer: LinkedOwner) => {
    // The bundle of the moment has run out; a newer one was published, which the other has not got.
    const old = await peer.owner.publish({ notAfter: new Date(Date.now() + 1500).toISOString() })
    const { sequence, notAfter } = peer.owner.bundle
    owner.cluster.change(peers, { name: peer.name }, (live) => {
      const { links: _gone, ...status } = live.status ?? {}
      live.status = { ...status, bundle: { sequence, notAfter, envelope: old } }
    })
  }
  await dialler.link.close()
  await forget(dialler, acceptor)
  await forget(acceptor, dialler)
  await eventually(() => expect(Date.parse(acceptor.owner.bundle.notAfter)).toBeLessThan(Date.now()))
  for (const each of [dialler, acceptor]) {
    await each.owner.publish({ notAfter: new Date(Date.now() + 3_600_000).toISOString() })
    each.cluster.put(identities, identityOf(each.owner))
  }
  await dialler.restart()
  await eventually(() => {
    dialler.judgePeers()
    acceptor.judgePeers()
    expect(linkOf(dialler, 'university')?.connected).toBe(true)
    expect(linkOf(acceptor, 'clinic')?.connected).toBe(true)
  }, 40)
  await talk(acceptor, dialler)
})

test('while the API server is away connections stay and messages wait', async () => {
  const { dialler, acceptor } = await pair()
  await both({ dialler, acceptor })
  const before = acceptor.link.peerings.of('clinic').length
  acceptor.cluster.down = true
  const id = await dialler.ask('university')
  await eventually(() =>
    expect(dialler.logLines.some(({ error }) => /messages cannot be kept/.test(String(error)))).toBe(true),
  )
  expect(acceptor.link.peerings.of('clinic')).toHaveLength(before)
  acceptor.cluster.down = false
  await eventually(() => expect(guestOf(acceptor, 'clinic', id)).toBeDefined(), 60)
})

test('with several replicas each one of the acceptor gets connections of its own', async () => {
  const first = await kept(startLinkedOwner('university', { replica: 'link-a', replicas: 2 }))
  const second = await kept(startLinkedOwner('university', { replica: 'link-b', replicas: 2, twin: first }))
  const proxy = await kept(startSpreader([first.link.port, second.link.port]))
  const dialler = await kept(startLinkedOwner('clinic'))
  first.knows(dialler, { dial: 'Them' })
  dialler.knows(first, { dial: 'Us', address: `127.0.0.1:${proxy.port}` })
  await eventually(() => {
    for (const { link } of [first, second]) expect(link.peerings.canCall('clinic')).toBe(true)
    const links = first.cluster.read(peers, { name: 'clinic' })?.status?.links ?? []
    expect(links.map(({ replica, connected: is }) => [replica, is])).toEqual([
      ['link-a', true],
      ['link-b', true],
    ])
  }, 60)
  const id = await first.ask('clinic')
  await eventually(() => expect(guestOf(dialler, 'university', id)).toBeDefined(), 30)
  expect(dialler.cluster.all(guestWorks)).toHaveLength(1)
})

/** A load balancer: each connection to the next port. */
async function startSpreader(ports: number[]): Promise<{ port: number; stop(): Promise<void> }> {
  let next = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const upstream = connect(ports[next++ % ports.length] ?? 0, '127.0.0.1')
    for (const each of [socket, upstream]) {
      sockets.add(each)
      each.on('error', () => each.destroy())
      each.on('close', () => {
        socket.destroy()
        upstream.destroy()
      })
    }
    upstream.pipe(socket).pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
