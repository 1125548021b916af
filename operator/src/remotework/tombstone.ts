import type { RemoteWork } from '../api/remote-work.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { remoteWorks } from '../kube/hansa-resources.ts'
import { type Live, refOf } from '../kube/resource.ts'
import { type Counterparts, counterpartOf } from './counterpart.ts'
import { readOwn } from './own-message.ts'

type Cancelled = NonNullable<RemoteWork['spec']['cancelled']>

/** Removes a tombstone whose Cancel was taken, whose lease is over, or whose peer is gone. Returns milliseconds until its end. */
export async function reconcileTombstone(
  tombstone: Live<RemoteWork>,
  cancelled: Cancelled,
  deps: Counterparts & { client: KubeClient; wallMs: number },
  signal: AbortSignal,
): Promise<number | undefined> {
  if (tombstone.metadata.deletionTimestamp !== undefined) return undefined
  const leftMs = Date.parse(cancelled.expires) - deps.wallMs
  const domain = readOwn('Cancel', cancelled.envelope)?.message.audience.trustDomain
  const isGone = counterpartOf(tombstone, domain, deps, deps.wallMs).state === 'Gone'
  // Without a readable time it is of no use either.
  if (leftMs > 0 && !isTaken(tombstone, cancelled) && !isGone) return leftMs
  await deps.client.delete(remoteWorks, refOf(tombstone), {
    signal,
    propagationPolicy: 'Background',
    uid: tombstone.metadata.uid,
  })
  return undefined
}

function isTaken({ status }: RemoteWork, { sequence = 0 }: Cancelled): boolean {
  const taken = status?.delivered?.find(({ kind }) => kind === 'Cancel')?.sequence
  return taken !== undefined && taken >= sequence
}
