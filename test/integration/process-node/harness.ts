import { expect } from 'vitest'
import type { Owner } from '../../cluster/owner.ts'
import type { ImageMap } from '../../cluster/process-node/image-map.ts'
import type { ContainerStatus, Pod } from '../../cluster/process-node/kube-types.ts'
import { eventually } from '../cluster/eventually.ts'

/** Images of these tests: a shell that runs its arguments as a script, and Node.js. */
export const images: ImageMap = {
  'test/sh': { entrypoint: ['/bin/sh', '-c'] },
  'test/node': { entrypoint: ['node', '--eval'] },
}

/** Sends an object to the API server and returns what it made of it. */
export async function create<T = unknown>(
  owner: Owner,
  object: { kind: string; [field: string]: unknown },
): Promise<T> {
  const [group, resource] = collections[object.kind] ?? ['/api/v1', `${object.kind.toLowerCase()}s`]
  const metadata = object.metadata as { namespace?: string }
  const scope = object.kind === 'PersistentVolume' ? '' : `/namespaces/${metadata.namespace ?? 'default'}`
  const body = { apiVersion: group.replace(/^\/apis?\//, ''), ...object }
  const answer = await owner.request({ method: 'POST', path: `${group}${scope}/${resource}`, body })
  if (answer.status >= 300) throw new Error(`${object.kind}: ${JSON.stringify(answer.body)}`)
  return answer.body as T
}

const collections: Readonly<Record<string, readonly [string, string]>> = {
  Deployment: ['/apis/apps/v1', 'deployments'],
  Job: ['/apis/batch/v1', 'jobs'],
}

/** A pod of one container `main` that runs a shell script. */
export function scriptPod(
  name: string,
  script: string,
  { container = {}, ...spec }: { container?: object; [field: string]: unknown } = {},
): { kind: string; metadata: object; spec: object } {
  return {
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: 'test/sh', args: [script], ...container }],
      ...spec,
    },
  }
}

export async function getPod(owner: Owner, name: string): Promise<Pod> {
  const answer = await owner.request({ path: `/api/v1/namespaces/default/pods/${name}` })
  if (answer.status !== 200) throw new Error(`pod ${name}: HTTP ${answer.status}`)
  return answer.body as Pod
}

export async function podsOf(owner: Owner, app: string): Promise<Pod[]> {
  const answer = await owner.request({ path: `/api/v1/namespaces/default/pods?labelSelector=app%3D${app}` })
  return (answer.body as { items: Pod[] }).items
}

export function mainStatus(pod: Pod, name = 'main'): ContainerStatus {
  const status = pod.status?.containerStatuses?.find((container) => container.name === name)
  if (!status) throw new Error(`pod ${pod.metadata.name} has no status of ${name}`)
  return status
}

export function isReady(pod: Pod): boolean {
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return ready === true && pod.metadata.deletionTimestamp === undefined
}

/** Waits until a pod has ended and returns it with its log. */
export async function finished(owner: Owner, name: string): Promise<{ pod: Pod; log: string }> {
  const pod = await eventually(async () => {
    const now = await getPod(owner, name)
    expect(now.status?.phase).toMatch(/Succeeded|Failed/)
    return now
  }, 20)
  return { pod, log: await logOf(owner, name) }
}

export async function logOf(owner: Owner, name: string, ...options: string[]): Promise<string> {
  const { stdout, stderr, code } = await owner.kubectl(['logs', name, ...options], { timeoutSeconds: 20 })
  if (code !== 0) throw new Error(stderr)
  return stdout
}
