import { judgeResult, raiseFence, refuseOrigin, turnFence } from '@hansa/operator/grant/epoch-fence.ts'
import { grantLease, stepLease } from '@hansa/operator/grant/executor.ts'
import { leaseFile } from '@hansa/operator/grant/lease-json.ts'
import {
  giveUp,
  leaseState,
  mayReplace,
  observe,
  quietUntilMs,
  signRenewal,
  takeAnswer,
  tombstoneExpires,
} from '@hansa/operator/grant/requester.ts'
import { judgeConfirmation, nextConfirmation } from '@hansa/operator/grant/restore.ts'
import { nextEpoch, nextSequence } from '@hansa/operator/grant/sequence.ts'
import { leaseTiming } from '@hansa/operator/grant/timing.ts'

/** The product's functions, and what the simulated controllers do with them; mutants replace one. */
export const protocol = {
  timing: leaseTiming,
  grantLease,
  stepLease,
  leaseFile,
  observe,
  takeAnswer,
  signRenewal,
  leaseState,
  mayReplace,
  quietUntilMs,
  giveUp,
  tombstoneExpires,
  turnFence,
  raiseFence,
  refuseOrigin,
  judgeResult,
  nextConfirmation,
  judgeConfirmation,
  nextEpoch,
  nextSequence,
  /** What the controllers around the pure functions do. */
  habits: {
    epochIsDurable: true,
    givesUpDurably: true,
    endsOnReconnect: false,
    deletionWaitsForPeer: false,
    sendsCancel: true,
    takesCancel: true,
    workersEnforce: true,
    saysEndedEarly: false,
  },
}
export type Protocol = typeof protocol
