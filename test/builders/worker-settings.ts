import type { WorkerSettings } from '@hansa/operator/inferenceservice/settings.ts'

/** What every worker pod is told, in tests that start none. */
export const workerSettings: WorkerSettings = {
  workerImage: 'registry.example/hansa-worker:test',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  allowedDomains: [],
  systemNamespace: 'hansa-system',
  trustDomain: 'cluster.example',
  caPem: 'pem',
  caUrl: 'https://hansa-operator.hansa-system.svc:9443',
  fetchUrl: 'https://hansa-fetch.hansa-system.svc:8444',
  gatewayUrl: 'https://gateway.example',
}
