import type { Cluster } from '../../cluster/cluster.ts'
import { eventually } from '../../demo/wait.ts'

const resources = [
  ['hansa.dev/v1alpha1', 'models'],
  ['hansa.dev/v1alpha1', 'inferenceservices'],
  ['apps/v1', 'deployments'],
  ['networking.k8s.io/v1', 'networkpolicies'],
  ['v1', 'serviceaccounts'],
] as const

const volatile = new Set([
  ...[
    'uid',
    'resourceVersion',
    'creationTimestamp',
    'generation',
    'managedFields',
    'lastTransitionTime',
    'lastUpdateTime',
  ],
  ...[
    'observedGeneration',
    'time',
    'selfLink',
    'kubectl.kubernetes.io/last-applied-configuration',
    'deployment.kubernetes.io/revision',
  ],
])

/**
 * Everything that the story leaves in its namespace, as text that is the same for every telling: names of the namespace and of
 * revisions are replaced, and what depends on the clock is left out. Waits until two looks in a row agree.
 */
export async function finalState(cluster: Cluster, namespace: string): Promise<string> {
  let before = ''
  return eventually(
    `${namespace}: nothing changes any more`,
    async () => {
      const now = await look(cluster, namespace)
      if (now === before) return now
      before = now
      return undefined
    },
    { seconds: 60, everyMilliseconds: 1000 },
  )
}

async function look(cluster: Cluster, namespace: string): Promise<string> {
  const found: string[] = []
  for (const [api, resource] of resources) {
    const root = api === 'v1' ? '/api/v1' : `/apis/${api}`
    const { status, body } = await cluster.request({ path: `${root}/namespaces/${namespace}/${resource}` })
    if (
      status !== 200 ||
      typeof body !== 'object' ||
      body === null ||
      !('items' in body) ||
      !Array.isArray(body.items)
    ) {
      throw new Error(`listing ${resource} answered ${status}`)
    }
    // A Deployment that is being deleted by the garbage collector is gone as far as anybody can see.
    for (const item of body.items)
      if (item?.metadata?.deletionTimestamp === undefined) found.push(`${resource} ${stable(item)}`)
  }
  const text = found.sort().join('\n')
  const uids = [...new Set(text.match(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g) ?? [])]
  const revisions = [...new Set([...text.matchAll(/digits-([0-9a-f]{8})\b/g)].map(([, revision]) => revision ?? ''))]
  return [...uids.map((uid) => [uid, 'UID'] as const), ...revisions.map((revision) => [revision, 'REVISION'] as const)]
    .reduce((all, [from, to]) => all.replaceAll(from, to), text)
    .replaceAll(namespace, 'NAMESPACE')
    .replaceAll(/REVISION-[0-9a-z]{5,10}\b/g, 'REPLICASET')
}

function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).sort().join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .filter(([key]) => !volatile.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${stable(member)}`)
    .join(',')}}`
}

/** Where two final states differ first, for the report. */
export function difference(a: string, b: string): string {
  let i = 0
  while (i < Math.min(a.length, b.length) && a[i] === b[i]) i++
  const around = (text: string) => text.slice(Math.max(0, i - 100), i + 140)
  return `...${around(a)}...\n  became\n...${around(b)}...`
}
