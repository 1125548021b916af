import type { EgressPolicy } from '../api/egress-policy.ts'
import type { RemoteWork, RemoteWorkStatus, ToRequester } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import type { Spending } from '../egresspolicy/spending.ts'
import type { MessageProblem, OpenMessage, Seal } from '../federation/federation.ts'
import { isConflict } from '../kube/api-error.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Namespace } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { addFinalizer, hasFinalizer } from '../kube/finalizers.ts'
import { remoteWorks } from '../kube/hansa-resources.ts'
import { type Live, refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { remoteWorkFinalizer } from '../placement/names.ts'
import type { Counterparts } from './counterpart.ts'
import type { Memory } from './draft.ts'
import { endRemoteWork } from './end.ts'
import { exchange } from './exchange.ts'
import { reconcileTombstone } from './tombstone.ts'

export type RemoteWorkDeps = Counterparts & {
  client: KubeClient
  applier: Applier
  events: EventRecorder
  clock: Clock
  remoteWorks: Pick<Store<RemoteWork>, 'get'>
  egressPolicies: Pick<Store<EgressPolicy>, 'list'>
  namespaces: Pick<Store<Namespace>, 'get'>
  seal: Seal
  openMessage: OpenMessage
  spending: Spending
  /** By uid; begins empty with each start. */
  memories: Map<string, Memory>
  /** Monotonic time of the start of this process. */
  startMs: number
  systemNamespace: string
  onProblem: (kind: ToRequester, problem: MessageProblem) => void
}

/** A timer must not sleep past a month. */
const longestSleepSeconds = 2_000_000

/** Asks a peer for the work of one RemoteWork, keeps its lease, and says how it stands; key `namespace/name`. */
export async function reconcileRemoteWork(
  key: string,
  { signal, log }: ReconcileContext,
  deps: RemoteWorkDeps,
): Promise<ReconcileResult> {
  const ref = refOfKey(key)
  const work = deps.remoteWorks.get(ref)
  if (work === undefined) return {}
  const { uid } = work.metadata
  const { cancelled } = work.spec
  const wallMs = deps.clock.now()
  if (cancelled !== undefined) {
    // Only there: somebody who may write RemoteWorks elsewhere shall not have the link carry words of his own.
    if (ref.namespace !== deps.systemNamespace) return {}
    return after(await reconcileTombstone(work, cancelled, { ...deps, wallMs }, signal))
  }
  const now = { wallMs, monotonicMs: deps.clock.monotonic() }
  if (work.metadata.deletionTimestamp !== undefined) {
    if (hasFinalizer(work, remoteWorkFinalizer)) await endRemoteWork(work, { ...deps, now }, signal)
    deps.memories.delete(uid)
    deps.spending.release(uid)
    return {}
  }
  const live = await addFinalizer(deps.client, remoteWorks, work, remoteWorkFinalizer, { signal })
  const before = deps.memories.get(uid)
  const { status, memory, afterMs } = await exchange(
    live,
    before,
    {
      ...deps,
      now,
      policies: deps.egressPolicies.list(),
      namespace: deps.namespaces.get({ name: ref.namespace ?? '' }),
      onProblem: (kind, problem) => {
        log.warn({ key, kind, reason: problem.reason, problem: problem.message }, 'a message of a peer is not taken')
        deps.onProblem(kind, problem)
      },
    },
    signal,
  )
  // From now on, whatever becomes of the write: the peer may get what is being written.
  deps.memories.set(uid, memory)
  try {
    await write(live, status, deps, signal)
  } catch (error) {
    // Surely not written, so nobody gets it: the next try may say it again.
    if (isConflict(error)) restore(deps.memories, uid, before)
    throw error
  }
  return after(afterMs)
}

function restore(memories: Map<string, Memory>, uid: string, before: Memory | undefined): void {
  if (before === undefined) memories.delete(uid)
  else memories.set(uid, before)
}

function after(milliseconds: number | undefined): ReconcileResult {
  if (milliseconds === undefined || milliseconds === Number.POSITIVE_INFINITY) return {}
  return { afterSeconds: Math.min(longestSleepSeconds, Math.max(0.001, milliseconds / 1000)) }
}

async function write(
  work: Live<RemoteWork>,
  status: RemoteWorkStatus,
  { applier, events }: RemoteWorkDeps,
  signal: AbortSignal,
): Promise<void> {
  // What was signed answers what was read: never over something newer, and never by a former leader.
  const { resourceVersion } = work.metadata
  const metadata = { ...refOf(work), resourceVersion }
  const desired = { apiVersion, kind: 'RemoteWork', metadata, status }
  const written = await applier.applyStatus(remoteWorks, desired, work, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  if (written === work) return
  const old = conditionOf(work.status?.conditions, 'Ready')
  const ready = conditionOf(status.conditions, 'Ready')
  if (ready === undefined || (old?.status === ready.status && old.reason === ready.reason)) return
  const isTrouble = ready.status === 'False' && ready.reason !== 'Progressing' && ready.reason !== 'NotGranted'
  events.record(work, {
    type: isTrouble || ready.reason === 'LeaseUncertain' ? 'Warning' : 'Normal',
    reason: ready.reason,
    action: 'Exchange',
    note: ready.message,
  })
}
