import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Work } from '../api/remote-work.ts'

const defaultLeaseSeconds = 1800

/** What a peer is asked to run for the service. Of pods, images, commands and accounts it says nothing: those are the executor's. */
export function workOf(
  service: InferenceService,
  { model, entrypoint }: { model: Model; entrypoint: string },
  ask: { replicas: number; dataClass: DataClass; attempt: number },
): Work {
  const { spec } = service
  const { maxPrice, purpose = 'Inference', leaseSeconds = defaultLeaseSeconds } = spec.placement ?? {}
  const { requests, limits } = spec.resources
  const { files, format, embedding, licence } = model.spec
  return {
    workload: 'Serve',
    purpose,
    dataClass: ask.dataClass,
    models: [
      {
        name: model.metadata.name,
        format,
        files,
        entrypoint,
        ...(embedding !== undefined && { embedding }),
        ...(licence !== undefined && { licence }),
        source: 'Requester',
      },
    ],
    replicas: ask.replicas,
    resources: { ...(requests !== undefined && { requests }), ...(limits !== undefined && { limits }) },
    serve: {
      modelName: service.metadata.name,
      requestSeconds: spec.timeouts.requestSeconds,
      loadSeconds: spec.timeouts.loadSeconds,
      drainSeconds: spec.timeouts.drainSeconds,
      requestBytes: spec.limits.requestBytes,
      responseBytes: spec.limits.responseBytes,
      queueDepth: spec.limits.queueDepth,
      executionProvider: spec.executionProvider.type,
      ...(spec.batching !== undefined && { batching: spec.batching }),
    },
    leaseSeconds,
    ...(maxPrice !== undefined && { maxPrice }),
    attempt: ask.attempt,
  }
}
