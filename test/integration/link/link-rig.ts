import { randomUUID, X509Certificate } from 'node:crypto'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { acceptBundle } from '@hansa/operator/federation/accept-bundle.ts'
import type { MessageKind, MessageOf } from '@hansa/operator/federation/messages.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { guestWorks, identities, peers, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { guestWorkName } from '@hansa/operator/link/courier/receiver.ts'
import { type LinkLimits, linkLimits } from '@hansa/operator/link/limits.ts'
import type { OwnCertificate, OwnCertificates } from '@hansa/operator/link/own-certificates.ts'
import { type Link, serveLink } from '@hansa/operator/link/serve-link.ts'
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { type MemoryCluster, memoryCluster } from './memory-cluster.ts'

export const namespace = 'hansa-system'
const never = new AbortController().signal

/** An owner with a link in this process, real keys, certificates and TLS; the API server is in memory. */
export type LinkedOwner = {
  name: string
  owner: TestOwner
  cluster: MemoryCluster
  link: Link
  registry: Registry
  logLines: Record<string, unknown>[]
  certificates: TestCertificates
  /** Makes the other known here, Verified. */
  knows(other: LinkedOwner, spec?: Partial<Peer['spec']>): void
  /** Takes newer bundles that the link brought, as the operator does. */
  judgePeers(): void
  seal<K extends Exclude<MessageKind, 'Bundle' | 'Rotation'>>(
    kind: K,
    peerName: string,
    message: Omit<MessageOf<K>, 'version' | 'issuer' | 'audience' | 'issued' | 'expires'>,
    seconds?: number,
  ): Promise<string>
  /** A RemoteWork for the peer whose outbox holds a signed request; its uid. */
  ask(peerName: string, id?: string): Promise<string>
  restart(): Promise<void>
  stop(): Promise<void>
}

export type TestCertificates = OwnCertificates & {
  /** Gets another certificate, as the operator's endpoint would give it. */
  renew(seconds?: number): Promise<OwnCertificate>
  current: OwnCertificate | undefined
}

export type RigOptions = {
  versions?: readonly number[]
  limits?: Partial<LinkLimits>
  certificateSeconds?: number
  replica?: string
  replicas?: number
  port?: number
  openRequests?: number
  log?: Logger
  /** Another replica of this owner, whose keys and API server this one shares. */
  twin?: LinkedOwner
}

export async function startLinkedOwner(name: string, options: RigOptions = {}): Promise<LinkedOwner> {
  const { twin } = options
  const owner = twin?.owner ?? (await testOwner(name))
  const cluster = twin?.cluster ?? memoryCluster()
  const certificates = await testCertificates(owner, options.certificateSeconds)
  if (twin === undefined) cluster.put(identities, identityOf(owner))
  const logLines: Record<string, unknown>[] = []
  const log =
    options.log ??
    pino({ level: 'debug', messageKey: 'message' }, { write: (line: string) => logLines.push(JSON.parse(line)) })
  const settings = {
    ...{ host: '127.0.0.1', port: options.port ?? 0, probesPort: 0, namespace },
    ...{ replica: options.replica ?? `${name}-link-0`, replicas: options.replicas ?? 1 },
    openRequests: options.openRequests ?? 64,
  }
  const start = async () => {
    rig.registry = new Registry()
    const deps = {
      ...{ client: cluster.client, certificates, log, registry: rig.registry },
      limits: { ...linkLimits, ...options.limits },
      ...(options.versions !== undefined && { versions: options.versions }),
    }
    rig.link = await serveLink(settings, deps, never)
    settings.port = rig.link.port
  }
  const seal = createSeal({
    sealingOf: async () => ({ bundle: owner.bundle, signerOf: owner.signerOf }),
    clock: { now: Date.now },
  })
  const rig: LinkedOwner = {
    ...{ name, owner, cluster, certificates, logLines, registry: new Registry() },
    // Set by `start` below, before anyone sees the rig.
    link: undefined as unknown as Link,
    knows(other, spec = {}) {
      const peer = peerOf(other.owner, other.name)
      peer.spec = { ...peer.spec, ...spec }
      cluster.put(peers, peer)
    },
    judgePeers() {
      for (const peer of cluster.all(peers)) {
        const { accepted } = acceptBundle(peer, Date.now())
        if (accepted === undefined || accepted.envelope === peer.status?.bundle?.envelope) continue
        const { sequence, notAfter } = accepted.bundle
        cluster.change(peers, peer.metadata, (live) => {
          live.status = { ...live.status, bundle: { sequence, notAfter, envelope: accepted.envelope } }
        })
      }
    },
    seal: (kind, peerName, message, seconds = 600) => {
      const peer = cluster.read(peers, { name: peerName })
      if (peer === undefined) throw new Error(`there is no Peer ${peerName}`)
      return seal(kind, message, { identityName: 'main', peer, seconds, signal: never })
    },
    async ask(peerName, id = randomUUID()) {
      const work = serveWork()
      const remote: RemoteWork = {
        apiVersion: 'hansa.dev/v1alpha1',
        kind: 'RemoteWork',
        metadata: { name: `work-${id}`, namespace: 'apps', uid: id },
        spec: { peerRef: { name: peerName }, work },
      }
      const envelope = await rig.seal('Request', peerName, { sequence: 1, requestId: id, work })
      remote.status = { outbox: [{ kind: 'Request', sequence: 1, envelope }] }
      return cluster.put(remoteWorks, remote).metadata.uid
    },
    restart: async () => {
      await rig.link.close()
      await start()
    },
    stop: () => rig.link.close(),
  }
  await start()
  return rig
}

async function testCertificates(owner: TestOwner, seconds = 3600): Promise<TestCertificates> {
  const listeners = new Set<(name: string) => void>()
  const began = Date.now()
  const certificates: TestCertificates = {
    current: undefined,
    of: () => certificates.current,
    onRenewed(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async renew(lifetime = seconds) {
      // The builder's authority counts from its own beginning.
      const age = (Date.now() - began) / 1000
      const { keyPem, certPem } = await owner.certificate('link', age + lifetime)
      const made = { keyPem, certPem, notAfter: new X509Certificate(certPem).validToDate.getTime() }
      certificates.current = made
      for (const listener of listeners) listener('main')
      return made
    },
  }
  await certificates.renew()
  return certificates
}

export function serveWork(): RemoteWork['spec']['work'] {
  return {
    workload: 'Serve',
    purpose: 'Triage',
    dataClass: 'Internal',
    models: [
      {
        name: 'digits',
        format: 'ONNX',
        source: 'Requester',
        files: [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 10 }],
      },
    ],
    replicas: 1,
    resources: { limits: { cpu: '1' } },
    leaseSeconds: 60,
    attempt: 1,
  }
}

/** The GuestWork of a request at the executor. */
export function guestOf(executor: LinkedOwner, requester: string, id: string) {
  return executor.cluster.read(guestWorks, { namespace, name: guestWorkName(requester, id) })
}

export function remoteOf(requester: LinkedOwner, id: string) {
  return requester.cluster.all(remoteWorks).find(({ metadata }) => metadata.uid === id)
}

/** Puts a message into the outbox of a GuestWork, as the operator would. */
export async function answer(executor: LinkedOwner, requester: string, id: string, sequence = 1): Promise<void> {
  const envelope = await executor.seal('Answer', requester, {
    ...{ sequence, requestId: id, requestSha256: 'b'.repeat(64), decision: 'Refused' },
    refusals: [{ reason: 'NoPolicy', message: 'no SharePolicy names you' }],
  })
  executor.cluster.change(guestWorks, { namespace, name: guestWorkName(requester, id) }, (guest) => {
    guest.status = { ...guest.status, outbox: [{ kind: 'Answer', sequence, envelope }] }
  })
}
