import type { GuestWork } from '../api/guest-work.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model, ModelSource } from '../api/model.ts'
import type { Work } from '../api/remote-work.ts'
import { apiVersion } from '../api/resource.ts'
import type { SharePolicySpec } from '../api/share-policy.ts'
import type { ExecutorLease } from '../grant/executor.ts'
import { leaseFile } from '../grant/lease-json.ts'
import { leaseAnnotation } from '../inferenceservice/lease-config.ts'
import { servedNameAs } from '../inferenceservice/served-name.ts'
import type { Applied } from '../kube/client-types.ts'
import { localMetadata } from './names.ts'
import { sourceOf } from './public-source.ts'
import { quantitiesOf, workerAmounts } from './resources.ts'

/** What a guest's policy says of the objects that are made. */
export type Host = Pick<SharePolicySpec, 'targetNamespace' | 'priorityClassName' | 'queueName' | 'drainTimeoutSeconds'>

const native: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage'])

/** The Model of guest work: the requester's files by digest, from its gateway or from a public place. */
export function guestModel(guest: GuestWork, work: Work, host: Host): Applied<Model> | undefined {
  const [model] = work.models
  const source = model === undefined ? undefined : modelSource(guest, model)
  if (model === undefined || source === undefined) return undefined
  const { format, files, entrypoint, embedding, licence } = model
  return {
    apiVersion,
    kind: 'Model',
    metadata: localMetadata(guest, host.targetNamespace),
    spec: {
      format,
      source,
      files,
      ...(entrypoint !== undefined && { entrypoint }),
      ...(embedding !== undefined && { embedding }),
      ...(licence !== undefined && { licence: licence.slice(0, 128) }),
    },
  }
}

function modelSource(guest: GuestWork, model: Work['models'][number]): ModelSource | undefined {
  const source = sourceOf(model)
  if (!source.ok) return undefined
  if (source.from === 'Public') return source.source
  return { peer: { peerName: guest.spec.peerRef.name, requestId: guest.spec.requestId } }
}

/**
 * The InferenceService of guest work. Image, command, environment, volumes and account are ours; workers reserve all that they may use;
 * nobody of this cluster may call it; it has as many workers as were granted, no more and no fewer.
 */
export function guestService(
  guest: GuestWork,
  work: Work,
  host: Host,
  lease: ExecutorLease,
  suspend: boolean,
): Applied<InferenceService> {
  const { serve, replicas } = work
  const metadata = localMetadata(guest, host.targetNamespace)
  const quantities = quantitiesOf(workerAmounts(work))
  const requests = Object.fromEntries(Object.entries(quantities).filter(([name]) => native.has(name)))
  return {
    apiVersion,
    kind: 'InferenceService',
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        ...leaseAnnotation(leaseFile(work.workload, lease)),
        ...servedNameAs(serve?.modelName),
      },
    },
    spec: {
      modelRef: { name: metadata.name },
      scaling: { mode: 'Hansa', minReplicas: replicas, maxReplicas: replicas, holdSeconds: 0 },
      resources: { requests, limits: quantities },
      priorityClassName: host.priorityClassName,
      ...(host.queueName !== undefined && { queueName: host.queueName }),
      ...(serve !== undefined && {
        executionProvider: { type: serve.executionProvider },
        timeouts: {
          requestSeconds: serve.requestSeconds,
          loadSeconds: serve.loadSeconds,
          drainSeconds: Math.min(serve.drainSeconds, host.drainTimeoutSeconds),
        },
        limits: {
          requestBytes: serve.requestBytes,
          responseBytes: serve.responseBytes,
          queueDepth: serve.queueDepth,
        },
        ...(serve.batching !== undefined && { batching: serve.batching }),
      }),
      suspend,
    },
  }
}
