import { setTimeout as sleep } from 'node:timers/promises'
import { pods as podResource } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { refOf } from '@hansa/operator/kube/resource.ts'

const nodePath = '/api/v1/nodes'

/** Where guests are placed: a node with GPUs and no kubelet. Pods get there, and nothing is started that would take the machine's CPU. */
export type IdleRoom = {
  /** Ends the pods there that are being deleted, as a kubelet would; returns how many pods are left. */
  sweep(namespace: string): Promise<number>
  stop(): Promise<void>
}

export async function startIdleRoom(client: KubeClient, name: string, gpus: number): Promise<IdleRoom> {
  const stopping = new AbortController()
  const { signal } = stopping
  const quantities = { cpu: '64', memory: '256Gi', pods: '500', 'nvidia.com/gpu': String(gpus) }
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/os': 'linux' } } }
  await client.raw('POST', nodePath, { signal, body: node })
  const beat = async () => {
    const now = new Date().toISOString()
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'KubeletReady',
      message: '',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    }
    const status = { capacity: quantities, allocatable: quantities, conditions: [ready] }
    await client.raw('PATCH', `${nodePath}/${name}/status`, {
      signal,
      body: { status },
      contentType: 'application/strategic-merge-patch+json',
    })
  }
  await beat()
  // What the node controller taints a silent node with stays away.
  const beating = (async () => {
    while (!signal.aborted) {
      await sleep(10_000, undefined, { signal }).catch(() => undefined)
      if (!signal.aborted) await beat()
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  return {
    async sweep(namespace) {
      const { items } = await client.list(podResource, { namespace, signal })
      for (const pod of items.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)) {
        await client.delete(podResource, refOf(pod), { signal, gracePeriodSeconds: 0 })
      }
      return items.length
    },
    async stop() {
      stopping.abort()
      await beating
    },
  }
}
