import { createHash } from 'node:crypto'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork, Work } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { canonicalJson } from '@hansa/operator/federation/canonical-json.ts'
import { dateTimeOf } from '@hansa/operator/federation/date-time.ts'
import { messageKinds } from '@hansa/operator/federation/messages.ts'
import type { PeerLimits } from '@hansa/operator/gateway/data/limits.ts'
import { guestWorkLabel, leaseAnnotationName, leaseText } from '@hansa/operator/guestlease/lease.ts'
import { localName } from '@hansa/operator/guestwork/names.ts'
import { onTestFinished } from 'vitest'
import { peerOf, type TestOwner } from '../../builders/federation.ts'
import { type MemoryReceiptBook, memoryReceiptBook } from '../../builders/memory-receipt-book.ts'
import { work as workOf } from '../../builders/remote-work.ts'
import { eventually, inferenceService, type Rig, type RigOptions, startRig } from '../gateway/gateway-under-test.ts'

/** An owner: a gateway with its data path over real TLS, real workers, and a scripted API server. */
export type OwnerRig = Rig & { owner: TestOwner; data: NonNullable<Rig['data']>; book: MemoryReceiptBook; name: string }

export async function startOwnerRig(
  name: string,
  options: Omit<RigOptions, 'owner' | 'book'> & {
    limits?: Partial<PeerLimits>
    /** Without one nothing is proven. */
    hasBook?: boolean
  } = {},
): Promise<OwnerRig> {
  const { limits = {}, hasBook = true, ...rest } = options
  const book = memoryReceiptBook()
  const rig = await startRig({ services: [], ...rest, owner: { name, limits }, ...(hasBook && { book }) })
  const { owner, data } = rig
  if (owner === undefined || data === undefined) throw new Error('the rig is no owner')
  onTestFinished(() => rig.stop())
  return Object.assign(rig, { owner, data, book, name })
}

/** Makes both Peers of each other; `dialler` reaches the other at `address`, by default its own. */
export function join(one: OwnerRig, other: OwnerRig, dialler: OwnerRig = one, address?: string): void {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    const peer = peerOf(there.owner, there.name)
    const spec: Partial<Peer['spec']> =
      here === dialler ? { dial: 'Us', dataAddress: address ?? there.data.address } : { dial: 'Them' }
    here.cluster.peers = [...here.cluster.peers, { ...peer, spec: { ...peer.spec, ...spec } }]
    here.cluster.changed()
  }
}

export const requestIdOf = (suffix: string) => `00000000-0000-4000-8000-${suffix.padStart(12, '0')}`

export type Lent = {
  requestId: string
  remote: RemoteWork
  guest: GuestWork
  /** Namespace and name of the guest's InferenceService. */
  local: { namespace: string; service: string }
  /** Puts what was changed in them before both gateways. */
  changed(): void
}

const service = 'digits'

/** What `from` asked of `to` for its service `apps/digits`, granted, with `to`'s objects for it; workers are the test's to add. */
export function lend(
  from: OwnerRig,
  to: OwnerRig,
  options: { suffix?: string; epoch?: number; replicas?: number; work?: Partial<Work>; revision?: string } = {},
): Lent {
  const { suffix = '1', epoch = 7, replicas = 1, revision } = options
  const requestId = requestIdOf(suffix)
  const work = workOf({ replicas, ...options.work })
  const labels = {
    'hansa.dev/inference-service': service,
    ...(revision !== undefined && { 'hansa.dev/revision': revision }),
  }
  const now = Date.now()
  const remote: RemoteWork = {
    apiVersion,
    kind: 'RemoteWork',
    metadata: { name: `digits-${to.name}-${suffix}`, namespace: 'apps', uid: requestId, labels },
    spec: { peerRef: { name: to.name }, work },
    status: {
      answer: { decision: 'Granted', sequence: 1 },
      lease: { epoch, ttlSeconds: 60, signedTime: dateTimeOf(now), state: 'Active' },
      replicas,
      readyReplicas: replicas,
    },
  }
  const clusters = {
    issuer: { trustDomain: from.owner.bundle.trustDomain, clusterName: from.owner.bundle.clusterName },
    audience: { trustDomain: to.owner.bundle.trustDomain, clusterName: to.owner.bundle.clusterName },
  }
  const times = { sequence: 1, issued: dateTimeOf(now), expires: dateTimeOf(now + 60_000) }
  const payload = Buffer.from(canonicalJson({ version: 1, ...clusters, ...times, requestId, work }))
  const envelope = canonicalJson({
    payload: payload.toString('base64'),
    payloadType: messageKinds.Request.payloadType,
    signatures: [{ keyid: 'k', sig: 'AAAA' }],
  })
  const guest: GuestWork = {
    apiVersion,
    kind: 'GuestWork',
    metadata: { name: `guest-${suffix}`, namespace: 'hansa-system' },
    spec: { peerRef: { name: from.name }, requestId, request: envelope },
  }
  const name = localName(guest)
  guest.status = {
    decision: 'Granted',
    requestSha256: createHash('sha256').update(payload).digest('hex'),
    lease: {
      epoch,
      ttlSeconds: 60,
      grantedTime: dateTimeOf(now),
      expiresTime: dateTimeOf(now + 60_000),
      renewals: 0,
    },
    local: { namespace: 'guests', inferenceServiceName: name },
  }
  const lease = { epoch, renewals: 0, ttlSeconds: 60, expires: new Date(now + 60_000).toISOString() }
  const guestService = inferenceService(name, 'guests', { access: {} })
  guestService.metadata.labels = { [guestWorkLabel]: name }
  guestService.metadata.annotations = { [leaseAnnotationName]: leaseText(lease) }
  from.cluster.remoteWorks = [...from.cluster.remoteWorks, remote]
  to.cluster.guestWorks = [...to.cluster.guestWorks, guest]
  to.cluster.services = [...to.cluster.services, guestService]
  from.cluster.changed()
  to.cluster.changed()
  return {
    requestId,
    remote,
    guest,
    local: { namespace: 'guests', service: name },
    changed: () => {
      from.cluster.changed()
      to.cluster.changed()
    },
  }
}

/** The service of users, by default without workers here. */
export function usersService(spec: Record<string, unknown> = {}): InferenceService {
  return inferenceService(service, 'apps', spec)
}

/** Waits until `rig` can call that many owners. */
export async function connected(rig: OwnerRig, peer: string): Promise<void> {
  await eventually(() => {
    if (rig.data.callerOf(peer) === undefined) throw new Error(`${rig.name} has no connection to call ${peer} on`)
  }, 20)
}
