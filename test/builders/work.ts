import { type Work, workSchema } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { type SharePolicy, type SharePolicySpec, sharePolicySpecSchema } from '@hansa/operator/api/share-policy.ts'
import { metadata } from './object.ts'

/** Work as a request carries it, one worker with a GPU; what is not given is unimportant to the test. */
export function work(changes: Partial<Work> = {}): Work {
  return workSchema.parse({
    workload: 'Serve',
    purpose: 'Inference',
    dataClass: 'Internal',
    models: [
      { name: 'chat-v1', format: 'ONNX', files: [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 10 }] },
    ],
    replicas: 1,
    resources: { limits: { 'nvidia.com/gpu': '1' } },
    serve: {
      requestSeconds: 60,
      loadSeconds: 600,
      drainSeconds: 5,
      requestBytes: 1_048_576,
      responseBytes: 1_048_576,
      queueDepth: 100,
      executionProvider: 'CPU',
    },
    leaseSeconds: 1800,
    ...changes,
  })
}

/** A SharePolicy that allows `work()` to the peer `university`. */
export function sharePolicy(name: string, changes: Partial<SharePolicySpec> = {}): SharePolicy {
  const { namespace: _, ...clusterWide } = metadata('SharePolicy', name)
  return {
    apiVersion,
    kind: 'SharePolicy',
    metadata: clusterWide,
    spec: sharePolicySpecSchema.parse({
      peers: [{ name: 'university' }],
      workloads: ['Serve'],
      targetNamespace: `guest-${name}`,
      quota: { 'nvidia.com/gpu': '4', cpu: '32', memory: '64Gi' },
      dataClasses: ['Public', 'Internal'],
      ...changes,
    }),
  }
}
