import { randomUUID } from 'node:crypto'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { MessageKind, MessageOf } from '@hansa/operator/federation/messages.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { type Caller, openCaller } from '@hansa/operator/link/transport/caller.ts'
import { codeOfKind, type DeliveredKind, roles } from '@hansa/operator/link/wire/messages.ts'
import { alpn, deliver, hello } from '@hansa/operator/link/wire/methods.ts'
import { peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { serveWork } from '../../integration/link/link-rig.ts'
import { frame, grpcMessage, headerBlock, opening, openTls } from './raw-http2.ts'

const never = new AbortController().signal

type Header = 'version' | 'issuer' | 'audience' | 'issued' | 'expires'
type Sealed = Exclude<MessageKind, 'Bundle' | 'Rotation'>

/** An enrolled peer that keeps no rule: real keys, certificates of its own authority, any bytes it likes. */
export type Attacker = {
  owner: TestOwner
  peer: Peer
  /** A TLS connection with its own good certificate unless options say otherwise. */
  tls(target: Target, protocol: string, options?: ConnectionOptions): Promise<TLSSocket>
  /** A control connection that was greeted properly. */
  caller(target: Target): Promise<Caller>
  /** HTTP/2 was opened on it, by hand, and a greeting sent on stream 1. */
  raw(target: Target): Promise<TLSSocket>
  seal<K extends Sealed>(kind: K, to: Peer, message: Omit<MessageOf<K>, Header>, seconds?: number): Promise<string>
  request(to: Peer, id?: string): Promise<Delivery>
  deliver(caller: Caller, delivery: Delivery): Promise<string>
}

export type Target = { port: number; peer: Peer; from?: string }
export type Delivery = { kind: DeliveredKind; requestId: string; sequence: number; envelope: string }

export async function createAttacker(name = 'mallory'): Promise<Attacker> {
  const owner = await testOwner(name)
  const good = await owner.certificate('link')
  const seal = createSeal({
    sealingOf: async () => ({ bundle: owner.bundle, signerOf: owner.signerOf }),
    clock: { now: Date.now },
  })
  const attacker: Attacker = {
    owner,
    peer: peerOf(owner, name),
    tls: (target, protocol, options = {}) =>
      openTls(target, {
        ...{ key: good.keyPem, cert: good.certPem, ALPNProtocols: [protocol] },
        servername: `${owner.bundle.trustDomain}.${target.peer.status?.trustDomain}`,
        ...options,
      }),
    caller: async (target) => {
      const caller = openCaller(await attacker.tls(target, alpn.control), { clock: systemClock })
      const greeting = { versions: [2, 1], replica: 'm-0', replicas: 1, role: roles.Dialler }
      await caller.call(hello, greeting, { signal: never, timeoutSeconds: 10 })
      return caller
    },
    raw: async (target) => {
      const socket = await attacker.tls(target, alpn.control)
      const greeting = hello.request.encode({ versions: [2, 1], replica: 'm-0', replicas: 1, role: roles.Dialler })
      const call = [frame('headers', 1, headerBlock(hello.path), 4), frame('data', 1, grpcMessage(greeting), 1)]
      socket.write(Buffer.concat([opening, ...call]))
      return socket
    },
    seal: (kind, peer, message, seconds = 600) =>
      seal(kind, message, { identityName: 'main', peer, seconds, signal: never }),
    request: async (to, id = randomUUID()) => ({
      ...{ kind: 'Request', requestId: id, sequence: 1 },
      envelope: await attacker.seal('Request', to, { sequence: 1, requestId: id, work: serveWork() }),
    }),
    deliver: async (caller, { kind, ...rest }) => {
      const request = { kind: codeOfKind(kind), ...rest }
      const { refusal } = await caller.call(deliver, request, { signal: never, timeoutSeconds: 10 })
      return refusal?.reason ?? 'taken'
    },
  }
  return attacker
}
