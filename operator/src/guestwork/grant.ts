import { grantLease } from '../grant/executor.ts'
import { type Case, type Later, nowOf } from './case.ts'
import type { Decision } from './decide.ts'
import type { GuestWorkDeps } from './deps.ts'
import { takeEpoch } from './grant-epoch.ts'
import { answer, renewalAsk } from './letters.ts'
import { applyLocals } from './locals.ts'
import { localName } from './names.ts'
import { ownStatus } from './own-status.ts'
import { quantitiesOf, times, workerAmounts } from './resources.ts'
import { authenticFinding, conditionsOf } from './summarise.ts'
import { type OwnStatus, writeStatus } from './write.ts'

type Granted = Extract<Decision, { decision: 'Granted' }>

/** Grants: takes an epoch, writes the lease with the answer, then makes the objects. */
export async function grant(each: Case, granted: Granted, deps: GuestWorkDeps): Promise<Later> {
  const { guest, seen, signal } = each
  const { request, views } = seen
  const host = views.find(({ name }) => name === granted.policyName)?.spec
  if (seen.peer === undefined || request === undefined || host === undefined) return {}
  const taken = await takeEpoch(seen.peer, deps.guestWorks.list(), deps, signal)
  if (taken === undefined) return {}
  const { work, sha256 } = request
  const now = nowOf(deps.clock)
  const { workload } = work
  const { leaseSeconds: ttlSeconds, price, policyName } = granted
  const { epoch } = taken
  const { lease, memory, ask } = grantLease({ workload, epoch, ttlSeconds, nonce: deps.nonce(), price, now })
  const { refusals: _, ...before } = ownStatus(guest)
  const status: OwnStatus = {
    ...before,
    requestSha256: sha256,
    decision: 'Granted',
    policyName,
    lease,
    reserved: quantitiesOf(times(workerAmounts(work), work.replicas)),
    local: {
      namespace: host.targetNamespace,
      inferenceServiceName: localName(guest),
      modelNames: [localName(guest)],
    },
    replicas: 0,
    readyReplicas: 0,
    gpuSeconds: 0,
    meteredTime: lease.grantedTime,
  }
  const running = {
    reason: 'Progressing' as const,
    message: 'workers are being made',
    told: '',
    replicas: 0,
    readyReplicas: 0,
  }
  status.conditions = conditionsOf(
    guest,
    {
      authentic: authenticFinding(undefined, true),
      granted: { reason: 'Granted', message: `granted by SharePolicy ${policyName}, epoch ${lease.epoch}` },
      running,
    },
    new Date(now.wallMs),
  )
  const { peer } = taken
  const letters = [answer(guest, status, { work, sha256, incarnation: peer.status?.incarnation ?? 0 })]
  if (ask !== undefined) letters.push(renewalAsk(guest, lease, ask))
  const written = await writeStatus(guest, peer, status, letters, deps, signal)
  deps.memory.leases.set(guest.metadata.uid, memory)
  await applyLocals(written, work, host, lease, deps, signal)
  // What came of it is seen next time.
  return { afterMs: 1_000 }
}
