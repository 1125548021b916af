import { join } from 'node:path'
import { stringify } from 'yaml'
import { repository } from './images.ts'

const name = 'hansa-local-models'

/** The namespace of Hansa, and a volume with the models of `examples/models` for fetch's local root, as YAML. */
export function localModels(namespace: string): string {
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadOnlyMany'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        hostPath: { path: join(repository, 'examples/models') },
        claimRef: { namespace, name },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace },
      spec: {
        accessModes: ['ReadOnlyMany'],
        storageClassName: '',
        volumeName: name,
        resources: { requests: { storage: '1Gi' } },
      },
    },
  ]
  return objects.map((object) => stringify(object)).join('---\n')
}
