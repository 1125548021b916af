import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { readEnvelope } from '@hansa/operator/federation/dsse.ts'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { openCaller } from '@hansa/operator/link/transport/caller.ts'
import { roles } from '@hansa/operator/link/wire/messages.ts'
import { alpn, deliver, exchange, hello } from '@hansa/operator/link/wire/methods.ts'
import { testOwner } from '../../builders/federation.ts'
import { serveWork } from '../../integration/link/link-rig.ts'
import type { Attacker, Target } from './attacker.ts'
import { mint } from './mint.ts'
import { endsWithin, frame, grpcMessage, headerBlock, opening } from './raw-http2.ts'

export type Scene = {
  target: Target
  mallory: Attacker
  /** An honest peer, of which the attacker knows what all know, and one signed message. */
  clinic: Peer
  overheard: { requestId: string; envelope: string }
}

/** One thing that must not work: `run` tries it and throws when it did; `logged` is what the link must have said. */
export type Attack = { name: string; logged: readonly string[]; run(scene: Scene): Promise<void> }

const never = new AbortController().signal
const uri = (trustDomain: string | undefined, cluster = 'main', process = 'link') =>
  `spiffe://${trustDomain}/cluster/${cluster}/${process}`

/** A connection that must be of no use: refused in the handshake, or closed before it answers a greeting. */
async function useless(opening: Promise<TLSSocket>): Promise<void> {
  const socket = await opening.catch(() => undefined)
  if (socket === undefined) return
  const caller = openCaller(socket, { clock: systemClock })
  const greeting = { versions: [2, 1], replica: 'm-0', replicas: 1, role: roles.Dialler }
  const answered = await caller.call(hello, greeting, { signal: never, timeoutSeconds: 5 }).then(
    () => true,
    () => false,
  )
  socket.destroy()
  if (answered) throw new Error('the connection works')
}

/** Frames after which the link must end the connection. */
async function cut(scene: Scene, frames: Iterable<Buffer>, seconds = 5): Promise<void> {
  const socket = await scene.mallory.raw(scene.target)
  for (const each of frames) {
    if (socket.destroyed) break
    if (!socket.write(each)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
  }
  const ended = await endsWithin(socket, seconds)
  socket.destroy()
  if (!ended) throw new Error('the connection lives on')
}

async function refusedDelivery(
  scene: Scene,
  reasons: string[],
  make: () => Promise<Parameters<Attacker['deliver']>[1]>,
) {
  const caller = await scene.mallory.caller(scene.target)
  const reason = await scene.mallory.deliver(caller, await make())
  await caller.close(0)
  if (!reasons.includes(reason)) throw new Error(`answered ${reason}`)
}

function* repeat(count: number, make: (index: number) => Buffer): Generator<Buffer> {
  for (let i = 0; i < count; i++) yield make(i)
}

const call = (stream: number, path = deliver.path) => frame('headers', stream, headerBlock(path), 4)

export const attacks: readonly Attack[] = [
  {
    name: 'no server name',
    logged: ['HandshakeFailed'],
    run: ({ mallory, target }) => useless(mallory.tls(target, alpn.control, { servername: '' })),
  },
  {
    name: 'unknown server name',
    logged: ['HandshakeFailed'],
    run: ({ mallory, target }) => useless(mallory.tls(target, alpn.control, { servername: 'a.b' })),
  },
  {
    name: 'server name that is no text of ours',
    logged: ['HandshakeFailed'],
    run: ({ mallory, target }) =>
      useless(mallory.tls(target, alpn.control, { servername: `${'x'.repeat(60)}.${'.'.repeat(3)}` })),
  },
  {
    name: 'TLS 1.2',
    logged: ['HandshakeFailed'],
    run: ({ mallory, target }) =>
      useless(mallory.tls(target, alpn.control, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })),
  },
  {
    name: 'unknown protocol',
    logged: ['HandshakeFailed', 'WrongProtocol'],
    run: ({ mallory, target }) => useless(mallory.tls(target, 'h2')),
  },
  {
    name: 'HTTP without TLS',
    logged: ['HandshakeFailed'],
    run: async ({ target }) => {
      const socket = connect(target.port, '127.0.0.1')
      socket.on('error', () => socket.destroy())
      socket.write('GET / HTTP/1.1\r\nhost: link\r\n\r\n')
      socket.resume()
      await once(socket, 'close', { signal: AbortSignal.timeout(5000) })
    },
  },
  {
    name: 'no certificate',
    logged: ['CertificateUnknownAuthority'],
    run: ({ mallory, target }) => useless(mallory.tls(target, alpn.control, { key: undefined, cert: undefined })),
  },
  {
    name: "a stranger's certificate with a peer's name",
    logged: ['CertificateUnknownAuthority'],
    run: async ({ mallory, target, clinic }) => {
      const trustDomain = clinic.status?.trustDomain ?? ''
      const stranger = await createAuthority({ trustDomain })
      const { keyPem, certPem } = await mint(stranger, { uris: [uri(trustDomain)] })
      const servername = `${trustDomain}.${target.peer.status?.trustDomain}`
      await useless(mallory.tls(target, alpn.control, { key: keyPem, cert: certPem, servername }))
    },
  },
  {
    name: "another peer's authority minting this peer's name, in this peer's place",
    logged: ['CertificateUnknownAuthority'],
    run: async ({ mallory, target, clinic }) => {
      const { keyPem, certPem } = await mint(mallory.owner.authority, { uris: [uri(clinic.status?.trustDomain)] })
      const servername = `${clinic.status?.trustDomain}.${target.peer.status?.trustDomain}`
      await useless(mallory.tls(target, alpn.control, { key: keyPem, cert: certPem, servername }))
    },
  },
  {
    name: "another peer's authority minting this peer's name, in its own place",
    logged: ['CertificateWrongName'],
    run: async ({ mallory, target, clinic }) => {
      const { keyPem, certPem } = await mint(mallory.owner.authority, { uris: [uri(clinic.status?.trustDomain)] })
      await useless(mallory.tls(target, alpn.control, { key: keyPem, cert: certPem }))
    },
  },
  ...(
    [
      ['wrong cluster in the SAN', ['x'], 'link'],
      ['a SAN of a gateway', ['main'], 'gateway'],
      ['two SANs, one of them right', ['main', 'other'], 'link'],
      ['the right SAN twice', ['main', 'main'], 'link'],
      ['no SAN of a URI', [], 'link'],
    ] as const
  ).map(
    ([name, clusters, process]): Attack => ({
      name,
      logged: ['CertificateWrongName'],
      run: async ({ mallory, target }) => {
        const { trustDomain } = mallory.owner.bundle
        const uris = clusters.map((cluster) => uri(trustDomain, cluster, process))
        const { keyPem, certPem } = await mint(mallory.owner.authority, { uris })
        await useless(mallory.tls(target, alpn.control, { key: keyPem, cert: certPem }))
      },
    }),
  ),
  {
    name: 'expired certificate',
    logged: ['CertificateUnknownAuthority', 'CertificateExpired'],
    run: async ({ mallory, target }) => {
      const uris = [uri(mallory.owner.bundle.trustDomain)]
      const { keyPem, certPem } = await mint(mallory.owner.authority, { uris, notAfter: new Date(Date.now() - 1000) })
      await useless(mallory.tls(target, alpn.control, { key: keyPem, cert: certPem }))
    },
  },
  {
    name: 'a call in the role of the acceptor on a connection of the dialler',
    logged: ['WrongRole'],
    run: async ({ mallory, target }) => {
      const caller = openCaller(await mallory.tls(target, alpn.control), { clock: systemClock })
      const greeting = { versions: [2, 1], replica: 'm-0', replicas: 1, role: roles.Acceptor }
      const answered = await caller.call(hello, greeting, { signal: never, timeoutSeconds: 5 }).then(
        () => true,
        () => false,
      )
      await caller.close(0)
      if (answered) throw new Error('the greeting was taken')
    },
  },
  {
    name: 'a call of the dialler on the reverse connection',
    logged: ['FrameTooLarge'],
    run: async ({ mallory, target }) => {
      const socket = await mallory.tls(target, alpn.reverse)
      socket.write(Buffer.concat([opening, call(1), frame('data', 1, grpcMessage(Buffer.alloc(10)), 1)]))
      if (!(await endsWithin(socket, 5))) throw new Error('the connection lives on')
    },
  },
  {
    name: 'a call before any greeting',
    logged: ['NoCommonVersion'],
    run: async ({ mallory, target }) => {
      const caller = openCaller(await mallory.tls(target, alpn.control), { clock: systemClock })
      const reason = await mallory.deliver(caller, await mallory.request(target.peer)).catch(({ reason: why }) => why)
      await caller.close(0)
      if (reason !== 'NoCommonVersion') throw new Error(`answered ${reason}`)
    },
  },
  {
    name: "replay of another peer's message",
    logged: ['SignatureInvalid'],
    run: (scene) =>
      refusedDelivery(scene, ['SignatureInvalid'], async () => ({ kind: 'Request', sequence: 1, ...scene.overheard })),
  },
  {
    name: 'a message for another audience',
    logged: ['WrongAudience'],
    run: (scene) => refusedDelivery(scene, ['WrongAudience'], () => scene.mallory.request(scene.clinic)),
  },
  {
    name: 'an expired message',
    logged: ['Expired'],
    run: (scene) =>
      refusedDelivery(scene, ['Expired'], async () => {
        const requestId = randomUUID()
        const message = { sequence: 1, requestId, work: serveWork() }
        const envelope = await scene.mallory.seal('Request', scene.target.peer, message, 0.001)
        await new Promise((resolve) => setTimeout(resolve, 20))
        return { kind: 'Request', requestId, sequence: 1, envelope }
      }),
  },
  {
    name: 'another owner in the body',
    logged: ['WrongIssuer', 'SignatureInvalid'],
    run: (scene) =>
      refusedDelivery(scene, ['WrongIssuer', 'SignatureInvalid'], async () => {
        // Its own key, but in the name of the clinic.
        const { trustDomain = '' } = scene.clinic.status ?? {}
        const before = scene.mallory.owner.bundle
        scene.mallory.owner.bundle = { ...before, trustDomain }
        const made = await scene.mallory.request(scene.target.peer)
        scene.mallory.owner.bundle = before
        return made
      }),
  },
  {
    name: 'a changed message under its old signature',
    logged: ['SignatureInvalid', 'Malformed'],
    run: (scene) =>
      refusedDelivery(scene, ['SignatureInvalid', 'Malformed'], async () => {
        const made = await scene.mallory.request(scene.target.peer)
        const payload = readEnvelope(made.envelope)?.payload ?? Buffer.alloc(0)
        const changed = Buffer.from(payload).toString('utf8').replace('Triage', 'Gossip')
        const envelope: Record<string, unknown> = JSON.parse(made.envelope)
        return { ...made, envelope: JSON.stringify({ ...envelope, payload: Buffer.from(changed).toString('base64') }) }
      }),
  },
  {
    name: 'a call that says something else than its message',
    logged: ['Malformed'],
    run: (scene) =>
      refusedDelivery(scene, ['Malformed'], async () => ({
        ...(await scene.mallory.request(scene.target.peer)),
        requestId: randomUUID(),
      })),
  },
  {
    name: 'an answer to a request of somebody else',
    logged: ['UnknownRequest'],
    run: (scene) =>
      refusedDelivery(scene, ['UnknownRequest'], async () => {
        const { requestId } = scene.overheard
        const message = { requestSha256: 'a'.repeat(64), decision: 'Granted' as const, refusals: [] }
        const envelope = await scene.mallory.seal('Answer', scene.target.peer, { ...message, sequence: 1, requestId })
        return { kind: 'Answer', requestId, sequence: 1, envelope }
      }),
  },
  {
    name: "a renewal of another peer's request",
    logged: ['UnknownRequest'],
    run: (scene) =>
      refusedDelivery(scene, ['UnknownRequest'], async () => {
        const { requestId } = scene.overheard
        const message = { sequence: 2, requestId, epoch: 1, nonce: 'n'.repeat(43) }
        const envelope = await scene.mallory.seal('Renewal', scene.target.peer, message)
        return { kind: 'Renewal', requestId, sequence: 2, envelope }
      }),
  },
  {
    name: 'another request under an id that was taken',
    logged: ['RequestDiffers'],
    run: async (scene) => {
      const first = await scene.mallory.request(scene.target.peer)
      await refusedDelivery(scene, ['taken'], async () => first)
      await refusedDelivery(scene, ['RequestDiffers'], async () => {
        const work = { ...serveWork(), replicas: 900 }
        const message = { sequence: 2, requestId: first.requestId, work }
        const envelope = await scene.mallory.seal('Request', scene.target.peer, message)
        return { ...first, sequence: 2, envelope }
      })
    },
  },
  {
    name: 'a message over the limit',
    logged: ['MessageTooLarge'],
    run: (scene) =>
      cut(scene, [
        call(3),
        ...repeat(20, (i) =>
          frame('data', 3, i === 0 ? grpcMessage(Buffer.alloc(16_000), { size: 320_000 }) : Buffer.alloc(16_000)),
        ),
      ]),
  },
  {
    name: 'a message that says it has 2 GiB',
    logged: ['MessageTooLarge'],
    run: (scene) => cut(scene, [call(3), frame('data', 3, grpcMessage(Buffer.alloc(10), { size: 2 ** 31 }))]),
  },
  {
    name: 'a message that is no message',
    logged: ['Malformed'],
    run: async ({ mallory, target }) => {
      const caller = await mallory.caller(target)
      const broken = { ...deliver, request: { ...deliver.request, encode: () => Buffer.alloc(500, 0xff) } }
      const request = { kind: 1, requestId: '', sequence: 0, envelope: '' }
      const answered = await caller.call(broken, request, { signal: never, timeoutSeconds: 5 }).then(
        () => true,
        () => false,
      )
      await caller.close(0)
      if (answered) throw new Error('it was taken')
    },
  },
  {
    name: 'compression bomb',
    logged: ['CompressionRefused'],
    run: (scene) => {
      const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024))
      const body = grpcMessage(bomb, { flag: 1 })
      const head = frame('headers', 3, headerBlock(deliver.path, { 'grpc-encoding': 'gzip' }), 4)
      return cut(scene, [
        head,
        ...repeat(Math.ceil(body.length / 16_000), (i) =>
          frame('data', 3, body.subarray(i * 16_000, (i + 1) * 16_000)),
        ),
      ])
    },
  },
  {
    name: 'flood of resets',
    logged: ['ResetFlood'],
    run: (scene) =>
      cut(
        scene,
        repeat(5000, (i) => Buffer.concat([call(2 * i + 3), frame('reset', 2 * i + 3, Buffer.alloc(4))])),
      ),
  },
  {
    name: 'flood of pings',
    logged: ['FrameFlood'],
    run: (scene) =>
      cut(
        scene,
        repeat(20_000, () => frame('ping', 0, Buffer.alloc(8))),
      ),
  },
  {
    name: 'flood of settings',
    logged: ['FrameFlood'],
    run: (scene) =>
      cut(
        scene,
        repeat(20_000, () => frame('settings', 0)),
      ),
  },
  {
    name: 'headers without end',
    logged: ['HeadersTooLarge'],
    run: (scene) =>
      cut(scene, [
        frame('headers', 3, headerBlock(deliver.path)),
        ...repeat(100, () => frame('continuation', 3, Buffer.alloc(1000, 0x20))),
      ]),
  },
  {
    name: 'metadata over the limit',
    logged: ['HeadersTooLarge'],
    run: (scene) => {
      const block = headerBlock(deliver.path)
      const large = Buffer.concat([block, Buffer.from([0x10, 1, 0x61, 0x7f, 0x81, 0x7f]), Buffer.alloc(12_000, 0x62)])
      return cut(scene, [frame('headers', 3, large, 4)])
    },
  },
  {
    name: 'more calls at once than allowed',
    logged: ['TooManyStreams'],
    run: (scene) =>
      cut(
        scene,
        repeat(200, (i) => call(2 * i + 3)),
      ),
  },
  {
    name: 'a call that trickles in',
    logged: ['TrickledCall'],
    run: async (scene) => {
      const socket = await scene.mallory.raw(scene.target)
      socket.write(Buffer.concat([call(3), frame('data', 3, grpcMessage(Buffer.alloc(1), { size: 1000 }))]))
      const timer = setInterval(() => socket.write(frame('data', 3, Buffer.from([1]))), 500)
      const ended = await endsWithin(socket, 30)
      clearInterval(timer)
      if (!ended) throw new Error('the connection lives on')
    },
  },
  {
    name: 'a connection that says nothing',
    logged: ['NoGreeting', 'Silent'],
    run: async ({ mallory, target }) => {
      const socket = await mallory.tls(target, alpn.control)
      if (!(await endsWithin(socket, 30))) throw new Error('the connection lives on')
    },
  },
  {
    name: 'a hundred connections',
    logged: ['TooManyConnections'],
    run: async ({ mallory, target }) => {
      const opened = await Promise.allSettled(
        Array.from({ length: 100 }, () => mallory.tls({ ...target, from: '127.0.0.7' }, alpn.control)),
      )
      const sockets = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      await new Promise((resolve) => setTimeout(resolve, 500))
      const living = sockets.filter(({ destroyed }) => !destroyed).length
      for (const socket of sockets) socket.destroy()
      if (living > 16) throw new Error(`${living} live`)
    },
  },
  {
    name: 'handshakes that are never finished',
    logged: ['TooManyHandshakes'],
    run: async ({ target }) => {
      const sockets = Array.from({ length: 80 }, () => {
        const socket = connect({ port: target.port, host: '127.0.0.1', localAddress: '127.0.0.8' })
        socket.on('error', () => socket.destroy())
        return socket.resume()
      })
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const living = sockets.filter(({ destroyed }) => !destroyed).length
      for (const socket of sockets) socket.destroy()
      if (living > 32) throw new Error(`${living} live`)
    },
  },
  {
    name: 'a bundle by another root key, without certificate',
    logged: ['BundleWrongKey', 'BundleSignatureInvalid'],
    run: async ({ mallory, target }) => {
      const other = await testOwner('mallory')
      const caller = openCaller(await mallory.tls(target, alpn.bundle, { key: undefined, cert: undefined }), {
        clock: systemClock,
      })
      const answered = await caller
        .call(exchange, { envelope: other.envelope }, { signal: never, timeoutSeconds: 5 })
        .then(
          () => true,
          () => false,
        )
      await caller.close(0)
      if (answered) throw new Error('the bundle was taken')
    },
  },
]
