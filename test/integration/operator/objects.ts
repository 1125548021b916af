import { createHash } from 'node:crypto'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repository } from '../../cluster/hansa/images.ts'

/** Where all objects of these tests are. */
export const namespace = 'lifecycle'
/** The service account that every service lets in. */
export const reader = 'reader'

const apiVersion = 'hansa.dev/v1alpha1'

export type Manifest = { apiVersion: string; kind: string; metadata: object; spec?: object }

/** The namespace, as strict as Pod Security can be, and its service accounts. */
export function tenant(...serviceAccounts: string[]): Manifest[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    ...serviceAccounts.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })),
  ]
}

/** A claim that is bound to a folder of the nodes. */
export function claim(name: string, folder: string): Manifest[] {
  const accessModes = ['ReadOnlyMany']
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${namespace}-${name}` },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes,
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        hostPath: { path: folder },
        claimRef: { namespace, name },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace },
      spec: {
        accessModes,
        storageClassName: '',
        volumeName: `${namespace}-${name}`,
        resources: { requests: { storage: '1Gi' } },
      },
    },
  ]
}

/** A Model of the file `model.onnx` in a folder of `examples/models`, read from there or from `source`. */
export async function model(name: string, example: string, source: object = { local: { path: example } }) {
  const bytes = await readFile(join(repository, 'examples/models', example, 'model.onnx'))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const files = [{ path: 'model.onnx', sha256, sizeBytes: bytes.length }]
  return { apiVersion, kind: 'Model', metadata: { name, namespace }, spec: { format: 'ONNX', source, files } }
}

export function service(name: string, modelName: string, spec: object = {}): Manifest {
  return {
    apiVersion,
    kind: 'InferenceService',
    metadata: { name, namespace },
    spec: {
      modelRef: { name: modelName },
      timeouts: { drainSeconds: 2 },
      resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      access: { serviceAccounts: [{ namespace, name: reader }] },
      ...spec,
    },
  }
}

/** A copy of an example's model file below `folder`, for a claim; returns the copy's path. */
export async function copyModel(example: string, folder: string): Promise<string> {
  const file = join(folder, 'model.onnx')
  await cp(join(repository, 'examples/models', example, 'model.onnx'), file)
  return file
}
