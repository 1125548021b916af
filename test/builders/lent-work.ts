import { createHash } from 'node:crypto'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { RemoteWork, Work } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { canonicalJson } from '@hansa/operator/federation/canonical-json.ts'
import { dateTimeOf } from '@hansa/operator/federation/date-time.ts'
import { messageKinds } from '@hansa/operator/federation/messages.ts'
import { guestWorkLabel, leaseAnnotationName, leaseText } from '@hansa/operator/guestlease/lease.ts'
import { localName } from '@hansa/operator/guestwork/names.ts'
import type { KnownOwner } from './federation.ts'
import { work as workOf } from './remote-work.ts'

export const requestIdOf = (suffix: string) => `00000000-0000-4000-8000-${suffix.padStart(12, '0')}`

/** An owner as another one knows it by name. */
export type NamedOwner = { name: string; owner: Pick<KnownOwner, 'bundle'> }

export type LentWork = { requestId: string; remote: RemoteWork; guest: GuestWork; guestService: InferenceService }

/** What `from` asked of `to` for its service `apps/digits` and was granted, for an hour: the objects of both sides. */
export function lentWork(
  from: NamedOwner,
  to: NamedOwner,
  options: { suffix?: string; epoch?: number; replicas?: number; work?: Partial<Work>; revision?: string } = {},
): LentWork {
  const { suffix = '1', epoch = 7, replicas = 1, revision } = options
  const requestId = requestIdOf(suffix)
  const work = workOf({ replicas, ...options.work })
  const labels = {
    'hansa.dev/inference-service': 'digits',
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
      lease: { epoch, ttlSeconds: 3600, signedTime: dateTimeOf(now), state: 'Active' },
      replicas,
      readyReplicas: replicas,
    },
  }
  const clusters = {
    issuer: { trustDomain: from.owner.bundle.trustDomain, clusterName: from.owner.bundle.clusterName },
    audience: { trustDomain: to.owner.bundle.trustDomain, clusterName: to.owner.bundle.clusterName },
  }
  const times = { sequence: 1, issued: dateTimeOf(now), expires: dateTimeOf(now + 3_600_000) }
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
      ttlSeconds: 3600,
      grantedTime: dateTimeOf(now),
      expiresTime: dateTimeOf(now + 3_600_000),
      renewals: 0,
    },
    local: { namespace: 'guests', inferenceServiceName: name },
  }
  const lease = { epoch, renewals: 0, ttlSeconds: 3600, expires: new Date(now + 3_600_000).toISOString() }
  const guestService: InferenceService = {
    apiVersion,
    kind: 'InferenceService',
    metadata: {
      name,
      namespace: 'guests',
      labels: { [guestWorkLabel]: name },
      annotations: { [leaseAnnotationName]: leaseText(lease) },
    },
    // What a gateway reads is all here; the rest of the spec is the operator's.
    spec: { modelRef: { name: 'm' }, access: {} } as unknown as InferenceService['spec'],
    status: { traffic: [{ revision: 'r1', percent: 100 }] },
  }
  return { requestId, remote, guest, guestService }
}
