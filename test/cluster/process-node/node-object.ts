import { arch, release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import { isStatus, type KubeClient } from './kube-client.ts'
import type { KubeObject } from './kube-types.ts'

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
}

export interface NodeObjectOptions {
  readonly client: KubeClient
  readonly name: string
  readonly address: string
  readonly kubeletPort: number
  readonly capacity: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly heartbeatSeconds: number
  readonly signal: AbortSignal
  readonly log: (line: string) => void
}

interface NodeObject extends KubeObject {
  readonly spec?: { readonly taints?: readonly Taint[] }
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

const leaseSeconds = 40
const schedulableDeadlineMilliseconds = 60_000

/** Registers a Node, renews its Lease until the signal fires, and resolves when pods can be scheduled to it. */
export async function runNodeObject(options: NodeObjectOptions): Promise<void> {
  await register(options)
  await renewLease(options)
  void heartbeat(options)
  const deadline = Date.now() + schedulableDeadlineMilliseconds
  const blocks = ({ key }: Taint) => key === 'node.kubernetes.io/not-ready' || key === 'node.kubernetes.io/unreachable'
  for (;;) {
    const node = await options.client.request<NodeObject>({ path: nodePath(options), signal: options.signal })
    if (!node.spec?.taints?.some(blocks)) return
    if (Date.now() > deadline) throw new HansaError('NodeNotReady', `node ${options.name} is still tainted not-ready`)
    await sleep(100, undefined, { signal: options.signal })
  }
}

async function heartbeat(options: NodeObjectOptions): Promise<void> {
  const { client, signal, log, heartbeatSeconds } = options
  while (!signal.aborted) {
    await sleep(heartbeatSeconds * 1_000, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    try {
      await renewLease(options)
      const node = await client.request<NodeObject>({ path: nodePath(options), signal })
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
      if (ready?.status !== 'True') await patchStatus(options)
    } catch (error) {
      if (isStatus(error, 404))
        await register(options).catch((cause) => log(`node ${options.name}: ${messageOf(cause)}`))
      else if (!isStatus(error, 0) && !signal.aborted) log(`node ${options.name}: ${messageOf(error)}`)
    }
  }
}

async function register(options: NodeObjectOptions): Promise<void> {
  const { client, name, labels, taints, signal } = options
  const metadata = {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture(),
      ...labels,
    },
  }
  const body = { apiVersion: 'v1', kind: 'Node', metadata, spec: taints.length > 0 ? { taints } : {} }
  try {
    await client.request({ method: 'POST', path: '/api/v1/nodes', body, signal })
  } catch (error) {
    if (!isStatus(error, 409)) throw error
    await client.request({
      method: 'PATCH',
      path: nodePath(options),
      body: { metadata: { labels: metadata.labels } },
      signal,
    })
  }
  await patchStatus(options)
}

async function patchStatus(options: NodeObjectOptions): Promise<void> {
  const { client, name, address, kubeletPort, capacity, signal } = options
  const now = new Date().toISOString()
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  })
  const status = {
    capacity,
    allocatable: capacity,
    addresses: [{ $patch: 'replace' }, { type: 'InternalIP', address }, { type: 'Hostname', address: name }],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'process node is posting ready status'),
    ],
    nodeInfo: {
      machineID: name,
      systemUUID: name,
      bootID: now,
      kernelVersion: release(),
      osImage: 'local processes',
      containerRuntimeVersion: 'hansa-process://1',
      kubeletVersion: 'v1.36.3-process-node',
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: architecture(),
    },
  }
  await client.request({ method: 'PATCH', path: `${nodePath(options)}/status`, body: { status }, signal })
}

async function renewLease({ client, name, signal }: NodeObjectOptions): Promise<void> {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: leaseSeconds,
    renewTime: new Date().toISOString().replace('Z', '000Z'), // a MicroTime
  }
  try {
    await client.request({ method: 'PATCH', path: `${leases}/${name}`, body: { spec }, signal })
  } catch (error) {
    if (!isStatus(error, 404)) throw error
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec }
    await client.request({ method: 'POST', path: leases, body, signal })
  }
}

function nodePath({ name }: NodeObjectOptions): string {
  return `/api/v1/nodes/${name}`
}

function architecture(): string {
  return arch() === 'x64' ? 'amd64' : arch()
}
