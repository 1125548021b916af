import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../cluster/cluster.ts'
import { condition, read, type Seen } from '../../cluster/hansa/conditions.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { eventually } from '../../demo/wait.ts'

const limitSeconds = 120

/** The demo's story in a namespace of its own: serve, roll out a new version, refuse a hostile model, go back. */
export async function tellStory(cluster: Cluster, namespace: string): Promise<void> {
  await apply(cluster, namespace, 'digits.yaml')
  await patch(cluster, namespace, { scaling: { minReplicas: 1, maxReplicas: 1 } })
  await until(cluster, namespace, 'the first version serves', (seen) => isServing(seen))
  const first = (await read(cluster, 'inferenceservice', 'digits', namespace))?.status.revision

  await apply(cluster, namespace, 'digits-v2.yaml')
  await patch(cluster, namespace, { modelRef: { name: 'digits-v2' } })
  await until(
    cluster,
    namespace,
    'the second version serves',
    (seen) => isServing(seen) && seen?.status.revision !== first,
  )

  await apply(cluster, namespace, 'hostile.yaml')
  await patch(cluster, namespace, { modelRef: { name: 'hostile' } })
  await until(
    cluster,
    namespace,
    'the hostile model is refused',
    (seen) => condition(seen, 'ModelVerified')?.reason === 'ModelRejected',
  )
  await patch(cluster, namespace, { modelRef: { name: 'digits-v2' } })
  await until(cluster, namespace, 'the second version serves again', (seen) => isServing(seen))
}

async function apply(cluster: Cluster, namespace: string, example: string): Promise<void> {
  const manifest = await readFile(join(repository, 'examples', example), 'utf8')
  const here = manifest
    .replaceAll('namespace: digits', `namespace: ${namespace}`)
    .replace('  name: digits\n  labels:', `  name: ${namespace}\n  labels:`)
  await insist(() => cluster.kubectl(['apply', '-f', '-'], { input: here }))
}

async function patch(cluster: Cluster, namespace: string, spec: unknown): Promise<void> {
  const args = [
    'patch',
    'inferenceservices.hansa.dev',
    'digits',
    '-n',
    namespace,
    '--type',
    'merge',
    '-p',
    JSON.stringify({ spec }),
  ]
  await insist(() => cluster.kubectl(args))
}

/** The user of the story tries again too while the API server is away. */
async function insist(attempt: () => Promise<{ code: number; stderr: string }>): Promise<void> {
  await eventually(
    'kubectl succeeds',
    async () => {
      const { code, stderr } = await attempt()
      if (code === 0) return true
      throw new Error(stderr)
    },
    { seconds: 60, everyMilliseconds: 500 },
  )
}

async function until(
  cluster: Cluster,
  namespace: string,
  what: string,
  holds: (seen: Seen | undefined) => boolean,
): Promise<void> {
  await eventually(
    `${namespace}: ${what}`,
    async () => {
      const seen = await read(cluster, 'inferenceservice', 'digits', namespace)
      if (holds(seen)) return true
      throw new Error(JSON.stringify(seen?.status))
    },
    { seconds: limitSeconds, everyMilliseconds: 300 },
  )
}

function isServing(seen: Seen | undefined): boolean {
  return condition(seen, 'Ready')?.status === 'True' && seen?.status.revision === seen?.status.latestRevision
}
