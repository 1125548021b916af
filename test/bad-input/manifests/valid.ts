import { apiVersion } from '@hansa/operator/api/resource.ts'

const digest = 'a'.repeat(64)

/** A manifest as a test may spoil it. */
export type Manifest = Record<string, unknown>

const manifest = (kind: string, name: string, spec: Manifest): Manifest => ({
  apiVersion,
  kind,
  metadata: { name },
  spec,
})

/** A valid InferenceService with every field that mode Hansa allows. */
export function service(name: string): Manifest {
  return manifest('InferenceService', name, {
    modelRef: { name: 'stored' },
    scaling: { mode: 'Hansa', minReplicas: 1, maxReplicas: 4 },
    resources: { requests: { cpu: '2', memory: '8Gi' }, limits: { memory: '8Gi', 'nvidia.com/gpu': '1' } },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'gpu', operator: 'Equal', value: 'yes', effect: 'NoExecute', tolerationSeconds: 60 }],
    runtimeClassName: 'nvidia',
    executionProvider: { type: 'CUDA', onUnavailable: 'Fail' },
    timeouts: { requestSeconds: 30, loadSeconds: 900, drainSeconds: 30 },
    limits: { requestBytes: 65_536, responseBytes: 65_536, queueDepth: 64, inFlight: 256 },
    access: {
      serviceAccounts: [{ namespace: 'default', name: 'client' }],
      oidc: [{ issuerName: 'hospital', subjects: ['1'], groups: ['radiologists'] }],
    },
    suspend: false,
  })
}

/** The same in mode External. */
export function externalService(name: string): Manifest {
  return manifest('InferenceService', name, {
    modelRef: { name: 'stored' },
    scaling: { mode: 'External' },
    replicas: 1,
  })
}

const files = () => [{ path: 'model.onnx', sha256: digest, sizeBytes: 100 }]

/** A valid Model with every field; those below have the other sources. */
export function httpsModel(name: string): Manifest {
  return manifest('Model', name, {
    format: 'ONNX',
    source: { https: { url: 'https://models.example/v1/', credentialsSecretName: 'token' } },
    files: files(),
    entrypoint: 'model.onnx',
    licence: 'Apache-2.0',
    lineage: { baseModelName: 'base', description: 'Fine-tuned.' },
  })
}

export function ociModel(name: string): Manifest {
  return manifest('Model', name, {
    format: 'ONNX',
    source: {
      oci: {
        repository: 'registry.example:5000/models/triage',
        digest: `sha256:${digest}`,
        credentialsSecretName: 'registry',
      },
    },
    files: files(),
  })
}

export function hubModel(name: string): Manifest {
  return manifest('Model', name, {
    format: 'ONNX',
    source: {
      huggingFace: {
        endpoint: 'https://hub.example/',
        repository: 'radiology/triage',
        revision: 'c'.repeat(40),
        credentialsSecretName: 'hub',
      },
    },
    files: files(),
  })
}

export function pvcModel(name: string): Manifest {
  return manifest('Model', name, {
    format: 'ONNX',
    source: { pvc: { claimName: 'models', path: 'a/b' } },
    files: files(),
  })
}

export function localModel(name: string): Manifest {
  return manifest('Model', name, { format: 'ONNX', source: { local: { path: 'a/b' } }, files: files() })
}
