import type { Peer, PeerStatus } from '../api/peer.ts'
import { peerReasons } from '../api/peer-reasons.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import type { Seal } from '../federation/federation.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Clock } from '../kube/clock.ts'
import { setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { peers as peerResource } from '../kube/hansa-resources.ts'
import { refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { announce } from './announce.ts'
import { type LookDeps, look, type Seen } from './look.ts'
import { statementSeconds, statementsOf } from './statement.ts'
import { summarise } from './summarise.ts'

export type PeerDeps = LookDeps & {
  applier: Applier
  events: EventRecorder
  clock: Clock
  seal: Seal
  peers: Pick<Store<Peer>, 'get'>
  remoteWorks: Pick<Store<RemoteWork>, 'list'>
}

/** Judges one Peer: whose key it holds, whether it can be reached, and what we tell it; key `name`. */
export async function reconcilePeer(
  key: string,
  { signal }: ReconcileContext,
  deps: PeerDeps,
): Promise<ReconcileResult> {
  const peer = deps.peers.get(refOfKey(key))
  if (peer === undefined || peer.metadata.deletionTimestamp !== undefined) return {}
  const now = deps.clock.now()
  const seen = look(peer, deps, now)
  const before = { ...peer.status?.statement, told: peer.status?.told }
  let failure: unknown
  const { told, outgoing, goodbye } = await statements(key, seen, { ...deps, now, signal }).then(
    (said) => said ?? before,
    (error: unknown) => {
      // What was judged is written all the same: it says why nothing can be signed.
      failure = error
      return before
    },
  )
  const conditions = summarise(peer, seen.verdicts)
  const status: PeerStatus = {
    observedGeneration: peer.metadata.generation ?? 0,
    ...seen.bundleStatus,
    ...(told !== undefined && { told }),
    ...((outgoing ?? goodbye) !== undefined && {
      statement: { ...(outgoing !== undefined && { outgoing }), ...(goodbye !== undefined && { goodbye }) },
    }),
    conditions: setConditions(ownConditions(peer), conditions, new Date(now)),
  }
  // A number must not be given to two questions: the answer is written onto the very state that it follows from.
  const isNewAnswer = told?.answers !== peer.status?.told?.answers
  const { name, resourceVersion } = peer.metadata
  const desired = {
    apiVersion,
    kind: 'Peer',
    metadata: { name, ...(isNewAnswer && { resourceVersion }) },
    status,
  }
  const written = await deps.applier.applyStatus(peerResource, desired, peer, { signal })
  if (written !== peer) announce(peer, conditions, deps.events)
  if (failure !== undefined) throw failure
  return { afterSeconds: secondsToNextChange(peer, seen.bundleStatus, now) }
}

async function statements(key: string, seen: Seen, deps: PeerDeps & { now: number; signal: AbortSignal }) {
  const { identity, own, verified, known, words } = seen
  if (!verified || !own.ok || identity === undefined) return undefined
  const { asks, now, seal, signal } = deps
  const works = deps.remoteWorks.list().filter(({ spec }) => spec.peerRef.name === key)
  const heard = words.confirmation
  const input = { peer: known, identity, own: own.bundle, asks, heard, epochSeen: epochSeen(works), now }
  return statementsOf(input, seal, signal)
}

function epochSeen(works: readonly RemoteWork[]): number {
  return works.reduce((highest, { status }) => Math.max(highest, status?.lease?.epoch ?? 0), 0)
}

const ownTypes: ReadonlySet<string> = new Set(Object.keys(peerReasons))

/** Conditions that another controller has put there are not ours to write. */
function ownConditions({ status }: Peer) {
  return status?.conditions?.filter(({ type }) => ownTypes.has(type))
}

const soonestSeconds = 1
const latestSeconds = 3600

/** The end of the invite, of the bundle, or the time to say our statement anew. */
function secondsToNextChange({ spec }: Peer, { bundle }: Seen['bundleStatus'], now: number): number {
  const ends = [spec.rootKey === undefined ? spec.join?.expires : undefined, bundle?.notAfter]
  const seconds = ends.flatMap((end) => {
    const left = end === undefined ? Number.NaN : (Date.parse(end) - now) / 1000
    return left > 0 ? [Math.ceil(left) + 1] : []
  })
  return Math.max(soonestSeconds, Math.min(...seconds, latestSeconds, statementSeconds / 2))
}
