import type { RemoteWork } from '../../api/remote-work.ts'
import { modelDigest } from '../../ledger/receipt.ts'
import { revisionLabel, serviceLabel } from './labels.ts'

/** Workers of a service at a peer, under a lease. Never kept on disk: which peers may be dealt with is known from the API server alone. */
export type PeerEndpoint = {
  peer: string
  requestId: string
  epoch: number
  /** Ready workers. */
  replicas: number
  /** Undefined: that of the revision that has most of the traffic. */
  revision: string | undefined
  /** What receipts must agree with. */
  model: string
  dataClass: RemoteWork['spec']['work']['dataClass']
  purpose: string
}

/** As it is routed: of a revision that has traffic. */
export type RoutedPeer = PeerEndpoint & { revision: string; percent: number }

/** The service that a RemoteWork runs workers of; undefined where requests cannot go there now. */
export function peerEndpointOf(
  work: RemoteWork,
): { namespace: string; service: string; endpoint: PeerEndpoint } | undefined {
  const { metadata, spec, status } = work
  const { uid, namespace, labels } = metadata
  const service = labels?.[serviceLabel]
  const { lease, answer, readyReplicas = 0 } = status ?? {}
  if (uid === undefined || namespace === undefined || service === undefined || service === '') return undefined
  if (metadata.deletionTimestamp !== undefined || spec.cancelled !== undefined) return undefined
  if (spec.work.workload !== 'Serve' || answer?.decision !== 'Granted' || readyReplicas <= 0) return undefined
  if (lease === undefined || lease.state === 'Ended') return undefined
  const { models, dataClass, purpose } = spec.work
  const [model] = models
  if (model === undefined) return undefined
  const endpoint = {
    peer: spec.peerRef.name,
    requestId: uid,
    epoch: lease.epoch,
    replicas: readyReplicas,
    revision: labels?.[revisionLabel],
    model: modelDigest(model.files),
    dataClass,
    purpose,
  }
  return { namespace, service, endpoint }
}
