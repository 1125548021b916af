import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type Installation, startInstallation, systemNamespace } from '../cluster/hansa/installation.ts'
import { eventually } from '../demo/wait.ts'

const count = 500
const aimSeconds = 60
const aimMegabytes = 250
const namespace = 'scale'

export const promise = {
  id: 'scale-500',
  claim: `${count} InferenceServices created at once converge on one operator of bounded memory`,
  aim: `all converged within ${aimSeconds} s, operator's peak memory at most ${aimMegabytes} MB`,
}

const listSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), generation: z.number().optional() }),
      status: z
        .object({
          observedGeneration: z.number().optional(),
          conditions: z.array(z.object({ type: z.string(), reason: z.string() })).optional(),
        })
        .optional(),
    }),
  ),
})

/**
 * Creates the services through the API server (scaled to zero; ServiceAccount, NetworkPolicy and Deployment of each are real) and
 * waits until each has its children and the condition WorkersReady with reason ScaledToZero for its generation.
 */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const installation = await startInstallation({
    name: 'scale',
    nodes: 1,
    log: report,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1' },
  })
  try {
    return await measure(installation, report)
  } finally {
    await installation.stop()
  }
}

async function measure(installation: Installation, report: (line: string) => void) {
  const { owner } = installation
  await createModel(installation)
  const before = await operatorMemory(installation)
  report(`operator before: ${before.peak} MB peak`)

  const startedAt = performance.now()
  const pending = Array.from({ length: count }, (_, i) => `service-${i}`)
  const lanes = Array.from({ length: 16 }, async () => {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const { status, body } = await owner.request({
        method: 'POST',
        path: `/apis/hansa.dev/v1alpha1/namespaces/${namespace}/inferenceservices`,
        body: {
          apiVersion: 'hansa.dev/v1alpha1',
          kind: 'InferenceService',
          metadata: { name },
          spec: { modelRef: { name: 'digits-v1' }, scaling: { mode: 'External' }, replicas: 0 },
        },
      })
      if (status !== 201) throw new Error(`creating ${name} answered ${status}: ${JSON.stringify(body).slice(0, 200)}`)
    }
  })
  await Promise.all(lanes)
  const createdSeconds = (performance.now() - startedAt) / 1000
  report(`${count} services created after ${createdSeconds.toFixed(1)} s`)

  await eventually(
    `${count} services have converged`,
    async () => {
      const done = (await listItems(installation, 'hansa.dev/v1alpha1', 'inferenceservices')).filter(
        ({ metadata, status }) =>
          status?.observedGeneration === metadata.generation &&
          status?.conditions?.some(({ type, reason }) => type === 'WorkersReady' && reason === 'ScaledToZero'),
      ).length
      if (done === count) return true
      throw new Error(`${done} of ${count}`)
    },
    { seconds: 300, everyMilliseconds: 1000 },
  )
  const seconds = (performance.now() - startedAt) / 1000

  for (const [api, resource] of [
    ['apps/v1', 'deployments'],
    ['networking.k8s.io/v1', 'networkpolicies'],
  ] as const) {
    const found = (await listItems(installation, api, resource)).filter(({ metadata }) =>
      metadata.name.startsWith('service-'),
    ).length
    if (found !== count) throw new Error(`${found} ${resource} instead of ${count}`)
  }
  await sleep(5_000)
  const { peak, now } = await operatorMemory(installation)
  const figures = `${count} services converged after ${seconds.toFixed(1)} s (all created after ${createdSeconds.toFixed(1)} s), operator ${peak} MB at its peak, ${now} MB after, n=1`
  return { figures, holds: seconds <= aimSeconds && peak <= aimMegabytes }
}

async function createModel({ owner }: Installation): Promise<void> {
  const { code, stderr } = await owner.kubectl(['create', 'namespace', namespace])
  if (code !== 0) throw new Error(stderr)
  const digits = await readFile(new URL('../../examples/digits.yaml', import.meta.url), 'utf8')
  const model = digits.split('\n---\n').find((document) => document.includes('kind: Model')) ?? ''
  const applied = await owner.kubectl(['apply', '-f', '-'], {
    input: model.replace('namespace: digits', `namespace: ${namespace}`),
  })
  if (applied.code !== 0) throw new Error(applied.stderr)
  const waited = await owner.kubectl([
    'wait',
    '--for=condition=Verified',
    'models.hansa.dev/digits-v1',
    '-n',
    namespace,
    '--timeout=60s',
  ])
  if (waited.code !== 0) throw new Error(waited.stderr)
}

async function listItems({ owner }: Installation, api: string, resource: string) {
  const { body } = await owner.request({ path: `/apis/${api}/namespaces/${namespace}/${resource}` })
  return listSchema.parse(body).items
}

/** Resident memory of the operator's process in MB (10^6 bytes), from /proc. */
async function operatorMemory({ nodes }: Installation): Promise<{ peak: number; now: number }> {
  const pid = nodes
    .flatMap((node) => node.pods())
    .filter((pod) => pod.namespace === systemNamespace && pod.name.startsWith('hansa-operator-'))
    .flatMap((pod) => pod.containers)
    .find((container) => container.pid !== undefined)?.pid
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const megabytes = (field: string) =>
    Math.round((Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6)
  return { peak: megabytes('VmHWM'), now: megabytes('VmRSS') }
}
