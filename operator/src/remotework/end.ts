import type { RemoteWork } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import type { Seal } from '../federation/federation.ts'
import type { Now } from '../grant/timing.ts'
import { isAlreadyExists } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { EventRecorder } from '../kube/events.ts'
import { removeFinalizer } from '../kube/finalizers.ts'
import { remoteWorks } from '../kube/hansa-resources.ts'
import type { Live } from '../kube/resource.ts'
import { peerLabel, remoteWorkFinalizer } from '../placement/names.ts'
import { messageOf } from '../process/errors.ts'
import { type Counterparts, counterpartOf } from './counterpart.ts'
import { ownMessage } from './own-message.ts'
import { signCancel } from './say.ts'

export type EndDeps = Counterparts & {
  client: KubeClient
  events: EventRecorder
  seal: Seal
  now: Now
  /** Namespace of the operator, where tombstones are kept. */
  systemNamespace: string
}

export const fieldManager = 'hansa-remotework'

/** What is left of a deleted RemoteWork is called so. */
export const tombstoneName = (requestId: string) => `cancelled-${requestId}`

/** How long the deletion may wait for our own signature; for the peer it waits never. */
const patienceMilliseconds = 60_000

/**
 * Lets a deleted RemoteWork go. If the peer may run anything of it, a tombstone with the signed Cancel stays in the operator's
 * namespace; the lease does the rest.
 */
export async function endRemoteWork(work: Live<RemoteWork>, deps: EndDeps, signal: AbortSignal): Promise<void> {
  if (!isOver(work)) await leaveTombstone(work, deps, signal)
  await removeFinalizer(deps.client, remoteWorks, work, remoteWorkFinalizer, { signal })
}

/** Whether nothing of it can run at the peer: never asked, ended by the peer, or our Cancel was taken. */
function isOver({ status }: RemoteWork): boolean {
  if (status?.outbox === undefined || status.outbox.length === 0) return true
  if (status.answer?.decision === 'Ended') return true
  const cancel = status.outbox.find(({ kind }) => kind === 'Cancel')
  const taken = status.delivered?.find(({ kind }) => kind === 'Cancel')?.sequence ?? -1
  return cancel !== undefined && taken >= cancel.sequence
}

async function leaveTombstone(work: Live<RemoteWork>, deps: EndDeps, signal: AbortSignal): Promise<void> {
  const asked = ownMessage(work, 'Request')
  const before = ownMessage(work, 'Cancel')
  const askedDomain = (asked ?? before)?.message.audience.trustDomain
  const to = counterpartOf(work, askedDomain, deps, deps.now.wallMs)
  if (to.state !== 'Ready') {
    note(work, deps, `no Cancel is sent: ${to.message}; what runs there ends with its lease`)
    return
  }
  try {
    const { sequence, envelope, expires } = await signCancel(work, asked, 'it was deleted', to, deps, signal)
    const { uid, namespace, name } = work.metadata
    const policy = work.status?.egressPolicyName
    const tombstone: RemoteWork = {
      apiVersion,
      kind: 'RemoteWork',
      metadata: {
        namespace: deps.systemNamespace,
        name: tombstoneName(uid),
        labels: { 'app.kubernetes.io/managed-by': 'hansa', [peerLabel]: work.spec.peerRef.name },
        annotations: { 'hansa.dev/cancelled': `${namespace}/${name}` },
      },
      spec: {
        peerRef: work.spec.peerRef,
        work: work.spec.work,
        cancelled: {
          requestId: uid,
          expires,
          envelope,
          sequence,
          ...(policy !== undefined && { egressPolicyName: policy }),
        },
      },
    }
    await deps.client.create(remoteWorks, tombstone, { signal, fieldManager })
  } catch (error) {
    if (isAlreadyExists(error)) return
    const waited = deps.now.wallMs - Date.parse(work.metadata.deletionTimestamp ?? '')
    if (!(waited > patienceMilliseconds)) throw error
    note(work, deps, `no Cancel is sent: ${messageOf(error)}; what runs there ends with its lease`)
  }
}

function note(work: RemoteWork, { events }: EndDeps, text: string): void {
  events.record(work, { type: 'Warning', reason: 'CancelNotSent', action: 'End', note: text })
}
