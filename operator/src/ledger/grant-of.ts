import type { GuestWork } from '../api/guest-work.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { parseCanonicalJson } from '../federation/canonical-json.ts'
import { parseDateTime } from '../federation/date-time.ts'
import { readEnvelope } from '../federation/dsse.ts'
import { requestSchema } from '../federation/messages.ts'
import { gpusOf, workerAmounts } from '../guestwork/resources.ts'
import { costCentreLabel, serviceLabel } from '../inferenceservice/names.ts'
import type { Live } from '../kube/resource.ts'
import type { Grant } from './store/store.ts'

/** The grant of a GuestWork, as our books name it; undefined while nothing is granted. The operator has checked its request. */
export function grantOfGuest({ spec, status }: Live<GuestWork>, identity: string, now: number): Grant | undefined {
  const lease = status?.lease
  const work = requestSchema.safeParse(
    parseCanonicalJson(readEnvelope(spec.request)?.payload ?? Buffer.alloc(0))?.value,
  ).data?.work
  if (lease === undefined || work === undefined) return undefined
  const isOver = status?.decision === 'Ended' || status?.decision === 'Refused'
  return {
    side: 'Executor',
    peer: spec.peerRef.name,
    requestId: spec.requestId,
    epoch: lease.epoch,
    identity,
    namespace: status?.local?.namespace ?? '',
    service: status?.local?.inferenceServiceName ?? '',
    dataClass: work.dataClass,
    purpose: work.purpose,
    ...(lease.price !== undefined && { price: lease.price }),
    reservedGPUSeconds: status?.gpuSeconds ?? 0,
    preemptedGPUSeconds: 0,
    ...(isOver && { endedAt: parseDateTime(status?.meteredTime ?? '') ?? now }),
  }
}

/** The grant that a peer gave for a RemoteWork, or for one that was deleted and left a tombstone. */
export function grantOfWork(
  { metadata, spec, status }: Live<RemoteWork>,
  identity: string,
  now: number,
): Grant | undefined {
  const lease = status?.lease
  if (lease === undefined) return undefined
  const { work, cancelled } = spec
  const costCentre = metadata.labels?.[costCentreLabel]
  const isOver = cancelled !== undefined || lease.state === 'Ended' || status?.answer?.decision === 'Ended'
  return {
    side: 'Requester',
    peer: spec.peerRef.name,
    requestId: cancelled?.requestId ?? metadata.uid,
    epoch: lease.epoch,
    identity,
    namespace: metadata.namespace ?? '',
    service: metadata.labels?.[serviceLabel] ?? '',
    ...(costCentre !== undefined && { costCentre }),
    dataClass: work.dataClass,
    purpose: work.purpose,
    ...(lease.price !== undefined && { price: lease.price }),
    reservedGPUSeconds: status?.gpuSeconds ?? 0,
    preemptedGPUSeconds: 0,
    asked: {
      replicas: work.replicas,
      gpusPerWorker: gpusOf(workerAmounts(work)),
      drainSeconds: work.serve?.drainSeconds ?? 0,
      since: now,
    },
    ...(isOver && { endedAt: now }),
  }
}
