import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'

type ClaimedModel = {
  name: string
  namespace: string
  /** Folder of this machine that becomes the volume. */
  folder: string
  paths: readonly string[]
  /** More members of the Model's spec. */
  spec?: object
}

/** A Model whose files lie in a folder of this machine, with the volume and the claim that bring them into the cluster, as YAML. */
export async function claimedModel({ name, namespace, folder, paths, spec = {} }: ClaimedModel): Promise<string> {
  const files = await Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(join(folder, path))
      return { path, sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.byteLength }
    }),
  )
  const storage = { storage: '1Gi' }
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${namespace}-${name}` },
      spec: {
        capacity: storage,
        accessModes: ['ReadOnlyMany'],
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
        accessModes: ['ReadOnlyMany'],
        storageClassName: '',
        volumeName: `${namespace}-${name}`,
        resources: { requests: storage },
      },
    },
    {
      apiVersion: 'hansa.dev/v1alpha1',
      kind: 'Model',
      metadata: { name, namespace },
      spec: { format: 'ONNX', source: { pvc: { claimName: name } }, files, ...spec },
    },
  ]
  return objects.map((object) => stringify(object)).join('---\n')
}
