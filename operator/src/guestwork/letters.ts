import type { GuestWork } from '../api/guest-work.ts'
import type { Work } from '../api/remote-work.ts'
import type { Letter } from './outbox.ts'
import type { Running } from './running.ts'
import type { OwnStatus } from './write.ts'

// Long enough for a peer that is away for a day; what is not delivered by then is signed anew.
const lifetimeSeconds = 86_400

/** Our decision, as it shall be in the status. */
export function answer(
  guest: GuestWork,
  status: OwnStatus,
  context: { work: Work; sha256: string; incarnation: number },
): Letter {
  const { lease, decision = 'Pending', refusals = [] } = status
  const { work, sha256, incarnation } = context
  return {
    kind: 'Answer',
    seconds: lifetimeSeconds,
    body: {
      requestId: guest.spec.requestId,
      requestSha256: sha256,
      decision,
      refusals,
      ...(lease !== undefined && {
        lease: {
          epoch: lease.epoch,
          attempt: work.attempt,
          ttlSeconds: lease.ttlSeconds,
          incarnation,
          ...(lease.price !== undefined && { price: lease.price }),
        },
      }),
    },
  }
}

export function renewalAsk(guest: GuestWork, lease: { epoch: number; ttlSeconds: number }, nonce: string): Letter {
  const { epoch, ttlSeconds } = lease
  const body = { requestId: guest.spec.requestId, epoch, nonce, ttlSeconds }
  return { kind: 'RenewalAsk', seconds: ttlSeconds, body }
}

/** How the work stands. */
export function report(guest: GuestWork, epoch: number, running: Running, gpuSeconds: number): Letter {
  const { replicas, readyReplicas, reason, told } = running
  return {
    kind: 'Report',
    seconds: lifetimeSeconds,
    body: {
      requestId: guest.spec.requestId,
      epoch,
      replicas,
      readyReplicas,
      gpuSeconds,
      reason,
      message: told.slice(0, 1_024),
    },
  }
}
