import type { GuestWork } from '../../api/guest-work.ts'
import type { RemoteWork } from '../../api/remote-work.ts'
import type { Live } from '../../kube/resource.ts'
import { revisionLabel, serviceLabel } from '../route/labels.ts'

/** A file that we let a peer have: the namespace whose Model holds it. */
export type Promised = { namespace: string }

/**
 * Whether a peer may have a file of ours for a request: we asked that peer, the request names the file as one that it gets from us,
 * and it has not been refused, ended or cancelled. The namespace is the one that asked.
 */
export function promisedBlob(
  work: RemoteWork | undefined,
  { peerName, sha256 }: { peerName: string; sha256: string },
): Promised | undefined {
  if (work === undefined || work.metadata.deletionTimestamp !== undefined) return undefined
  const { spec, status, metadata } = work
  if (spec.peerRef.name !== peerName || spec.cancelled !== undefined) return undefined
  const decision = status?.answer?.decision
  if (decision === 'Refused' || decision === 'Ended' || status?.lease?.state === 'Ended') return undefined
  const isNamed = spec.work.models.some(
    ({ source, files }) => source === 'Requester' && files.some((file) => file.sha256 === sha256),
  )
  return isNamed && metadata.namespace !== undefined ? { namespace: metadata.namespace } : undefined
}

/** Whether a Model of a namespace here may be fetched from a peer for a request: we granted it, and made its objects there. */
export function isGrantedIn(
  work: GuestWork | undefined,
  { peerName, requestId, namespace }: { peerName: string; requestId: string; namespace: string },
): boolean {
  if (work === undefined || work.metadata.deletionTimestamp !== undefined) return false
  const { spec, status } = work
  return (
    spec.peerRef.name === peerName &&
    spec.requestId === requestId &&
    status?.decision === 'Granted' &&
    status.local?.namespace === namespace
  )
}

/** Leaves out messages, which are large and none of a gateway's business. */
export function slimRemoteWork({ apiVersion, kind, metadata, spec, status }: Live<RemoteWork>): Live<RemoteWork> {
  const { answer, lease, readyReplicas } = status ?? {}
  const { [serviceLabel]: service, [revisionLabel]: revision } = metadata.labels ?? {}
  const labels = {
    ...(service !== undefined && { [serviceLabel]: service }),
    ...(revision !== undefined && { [revisionLabel]: revision }),
  }
  return {
    apiVersion,
    kind,
    metadata: { ...slimMetadata(metadata), labels },
    spec,
    status: {
      ...(answer !== undefined && { answer }),
      ...(lease !== undefined && { lease }),
      ...(readyReplicas !== undefined && { readyReplicas }),
    },
  }
}

/** As `slimRemoteWork`. */
export function slimGuestWork({ apiVersion, kind, metadata, spec, status }: Live<GuestWork>): Live<GuestWork> {
  const { decision, local, lease } = status ?? {}
  return {
    apiVersion,
    kind,
    metadata: slimMetadata(metadata),
    spec: { ...spec, request: '' },
    status: {
      ...(decision !== undefined && { decision }),
      ...(local !== undefined && { local }),
      ...(lease !== undefined && { lease }),
    },
  }
}

function slimMetadata({
  name,
  namespace,
  uid,
  resourceVersion,
  deletionTimestamp,
}: Live['metadata']): Live['metadata'] {
  return {
    name,
    uid,
    resourceVersion,
    ...(namespace !== undefined && { namespace }),
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
  }
}
