import { type RemoteWork, type RemoteWorkStatus, type Work, workSchema } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { fileOf } from './model.ts'
import { metadata } from './object.ts'

/** What is asked for: one worker of a small model, on Internal data. */
export function work(changes: Partial<Work> = {}): Work {
  return workSchema.parse({
    workload: 'Serve',
    purpose: 'Inference',
    dataClass: 'Internal',
    models: [{ name: 'chat-v1', format: 'ONNX', files: [fileOf('model.onnx', 'chat')], entrypoint: 'model.onnx' }],
    replicas: 1,
    resources: {},
    leaseSeconds: 60,
    ...changes,
  })
}

/** A RemoteWork that asks the peer `university`, as the API server would return it. */
export function remoteWork(name: string, changes: Partial<Work> = {}, status?: RemoteWorkStatus): RemoteWork {
  return {
    apiVersion,
    kind: 'RemoteWork',
    metadata: metadata('RemoteWork', name),
    spec: { peerRef: { name: 'university' }, work: work(changes) },
    ...(status !== undefined && { status }),
  }
}
