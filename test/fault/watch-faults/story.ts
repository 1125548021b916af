import { resolve } from 'node:path'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import {
  deployments,
  leases,
  namespaces as namespaceResource,
  networkPolicies,
  serviceAccounts,
} from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { inferenceServices, models } from '@hansa/operator/kube/hansa-resources.ts'
import type { Resource } from '@hansa/operator/kube/resource.ts'
import type { Owner } from '../../cluster/owner.ts'

export const systemNamespace = 'hansa-system'
const namespace = 'team'
const modelName = 'digits-v1'
const labelSelector = 'app.kubernetes.io/managed-by=hansa'
const { signal } = new AbortController()

const children: readonly Resource[] = [deployments, networkPolicies, serviceAccounts]

/** What a platform team would see of its services, and ways to disturb them. */
export type Story = {
  createServices(count: number): Promise<void>
  /** Undefined when every service has all its children and a status for its spec; else what is missing. */
  unfinished(): Promise<string | undefined>
  /** Deletes one child of each kind, each of another service, and creates a service. */
  disturb(): Promise<void>
  /** Deletes one child each of so many services. */
  deletePolicies(count: number): Promise<void>
  holder(): Promise<string>
}

/** Installs chart and model, and returns the story; services are scaled to zero, all else of them is real. */
export async function tellStory(owner: Owner, admin: KubeClient): Promise<Story> {
  const chart = resolve(import.meta.dirname, '../../../charts/hansa')
  const install = ['install', 'hansa', chart, '--namespace', systemNamespace, '--create-namespace']
  await owner.helm([...install, '--set', 'operator.replicas=0,gateway.replicas=0'])
  await owner.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'])
  const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
  await admin.create(namespaceResource, space, { signal })
  await admin.create(
    models,
    {
      apiVersion,
      kind: 'Model',
      metadata: { namespace, name: modelName },
      spec: {
        format: 'ONNX',
        source: { https: { url: 'https://models.example/digits/' } },
        files: [{ path: 'model.onnx', sha256: '0'.repeat(64), sizeBytes: 1_000 }],
      },
    },
    { signal },
  )
  const now = `${new Date().toISOString().slice(0, 19)}Z`
  const condition = { status: 'True', observedGeneration: 1, lastTransitionTime: now, message: 'said by the test' }
  const conditions = [
    { type: 'Verified', reason: 'Verified', ...condition },
    { type: 'Ready', reason: 'Ready', ...condition },
  ]
  const ref = { namespace, name: modelName }
  const status = { observedGeneration: 1, conditions }
  await admin.patch(models, ref, { status }, { signal, subresource: 'status' })

  let made = 0
  let turn = 0

  async function createService(): Promise<void> {
    const name = `service-${made++}`
    const spec = { modelRef: { name: modelName }, scaling: { mode: 'External' }, replicas: 0 }
    const body = { apiVersion, kind: 'InferenceService', metadata: { namespace, name }, spec }
    const path = `/apis/${apiVersion}/namespaces/${namespace}/inferenceservices`
    for (const until = Date.now() + 120_000; ; ) {
      try {
        await admin.raw('POST', path, { signal, body, timeoutSeconds: 5 })
        return
      } catch (thrown) {
        // A lost answer may have been a success.
        if ((await admin.get(inferenceServices, { namespace, name }, { signal }).catch(() => undefined)) !== undefined)
          return
        if (Date.now() > until) throw thrown
        await new Promise((done) => setTimeout(done, 500))
      }
    }
  }

  async function deleteChild(resource: Resource, at: number): Promise<void> {
    const { items } = await admin.list(resource, { namespace, labelSelector, signal })
    const sorted = items.sort((a, b) => a.metadata.name.localeCompare(b.metadata.name))
    const child = sorted[at % Math.max(1, sorted.length)]
    if (child === undefined) throw new Error(`there are no ${resource.plural} to disturb`)
    await admin.delete(resource, child.metadata, { signal, uid: child.metadata.uid })
  }

  return {
    async createServices(count) {
      for (let n = 0; n < count; n++) await createService()
    },
    async unfinished() {
      const services = await admin.list(inferenceServices, { namespace, signal })
      if (services.items.length !== made) return `${services.items.length} of ${made} services exist`
      for (const { metadata, status: said } of services.items) {
        if (said?.observedGeneration !== metadata.generation) return `status of ${metadata.name}`
      }
      for (const resource of children) {
        const { items } = await admin.list(resource, { namespace, labelSelector, signal })
        const ofServices = new Set(items.map(({ metadata }) => metadata.labels?.['hansa.dev/inference-service']))
        if (items.length !== made || ofServices.size !== made) {
          return `${resource.plural}: ${items.length} for ${ofServices.size} of ${made} services`
        }
      }
      return undefined
    },
    async disturb() {
      for (const resource of children) await deleteChild(resource, turn++)
      await createService()
    },
    async deletePolicies(count) {
      for (let n = 0; n < count; n++) await deleteChild(networkPolicies, n)
    },
    async holder() {
      const lease = await admin.get(leases, { namespace: systemNamespace, name: 'hansa-operator' }, { signal })
      return lease?.spec?.holderIdentity?.split('_')[0] ?? ''
    },
  }
}
