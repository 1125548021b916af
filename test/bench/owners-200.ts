import { resolve } from 'node:path'
import { type EgressPolicy, egressPolicySpecSchema } from '@hansa/operator/api/egress-policy.ts'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import { type InferenceService, inferenceServiceSpecSchema } from '@hansa/operator/api/inference-service.ts'
import type { Model } from '@hansa/operator/api/model.ts'
import { dataClassLabel } from '@hansa/operator/api/owner-scalars.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import type { Bundle } from '@hansa/operator/federation/messages.ts'
import { namespaces } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { egressPolicies, identities, inferenceServices, models } from '@hansa/operator/kube/hansa-resources.ts'
import { model } from '../builders/model.ts'
import { installDefinitions } from '../cluster/definitions.ts'
import { startOwner } from '../cluster/owner.ts'
import { eventually } from '../integration/kube/harness.ts'
import { type Remote, startRemote } from '../tools/process-calls.ts'
import { percentile } from './grant-latency/percentiles.ts'
import { type Api, clientOf } from './owners-200/client-of.ts'
import type { Sighting, Start } from './owners-200/owners-process.ts'

const aimPerSecond = 220
const aimGibibytes = 1
const mostSlowdown = 1.1
const decisionAimSeconds = 0.05

export const promise = {
  id: 'owners-200',
  claim:
    'One operator places 10,000 services at 200 owners, in bounded memory, and owners that are not heard of do not slow the others',
  aim: `RemoteWorks persisted at ${aimPerSecond} a second; memory at most ${aimGibibytes} GiB; 40% of owners black-holed: p99 from a service to its grant at the others at most ${mostSlowdown} times`,
}

export type ScaleOptions = { owners: number; services: number; trickle: number }
const full: ScaleOptions = { owners: 200, services: 10_000, trickle: 400 }

const folder = resolve(import.meta.dirname, 'owners-200')
const ttlSeconds = 1800
const namespace = 'scale'
const systemNamespace = 'hansa-system'
const candidates = 4
const tricklePerSecond = 20
const lanes = 16
const peersOfPolicy = 50
const { signal } = new AbortController()

type Usage = { peak: number; now: number; cpuSeconds: number }
type Known = { identity: OwnerIdentity; bundle: Bundle; envelope: string; rootKey: string }

/**
 * The asking side of the operator (stores, placement, requests, leases) in a process of its own; 200 owners with keys of their own in
 * another, which sign real answers and grant at once. First with a simulated API server, so that the operator is the limit; then fewer
 * services with a real one and etcd, to see that the same happens there, and how fast.
 */
export async function run(
  report: (line: string) => void,
  options: ScaleOptions = full,
): Promise<{ figures: string; holds: boolean }> {
  const process = startRemote(resolve(folder, 'api-process.ts'))
  try {
    const url = await process.call<string>('start')
    const simulated = await withOwners({ url }, options, report, (scene) => measure(scene, options, report))
    const real = await withRealApi(options, report)
    return { figures: `${simulated.figures}; ${real}`, holds: simulated.holds }
  } finally {
    await process.stop()
  }
}

async function withRealApi(options: ScaleOptions, report: (line: string) => void): Promise<string> {
  const cluster = await startOwner({ name: 'scale' })
  const services = Math.ceil(options.services / 20)
  try {
    await installDefinitions(cluster)
    const api = { kubeconfig: resolve(cluster.kubeconfigPath) }
    return await withOwners(api, { ...options, services }, report, async (scene) => {
      const { perSecond, grantedSeconds } = await bulk(scene, { ...options, services }, report)
      return `with a real API server and etcd beside it, ${services} services: persisted at ${perSecond.toFixed(0)} a second, all granted after ${grantedSeconds.toFixed(0)} s`
    })
  } finally {
    await cluster.stop()
  }
}

async function withOwners<R>(
  api: Api,
  options: ScaleOptions,
  report: (line: string) => void,
  then: (scene: Scene) => Promise<R>,
): Promise<R> {
  const operator = startRemote(resolve(folder, 'operator-process.ts'), [
    '--max-old-space-size=900',
    '--inspect=127.0.0.1:9231',
  ])
  const owners = startRemote(resolve(folder, 'owners-process.ts'))
  const client = await clientOf(api, 'users')
  try {
    const known = await operator.call<Known>('identity')
    await prepare(client, known, options)
    const us = { bundle: known.bundle, envelope: known.envelope, root: { publicKey: known.rootKey } }
    await owners.call('start', { api, count: options.owners, us, ttlSeconds } satisfies Start)
    report(`${options.owners} owners are known`)
    await operator.call('start', { api, systemNamespace })
    return await then({ client, operator, owners })
  } finally {
    await Promise.all([operator.stop(), owners.stop(), client.close()])
  }
}

type Scene = { client: KubeClient; operator: Remote; owners: Remote }

async function measure(scene: Scene, options: ScaleOptions, report: (line: string) => void) {
  const { operator, owners } = scene
  const everybody = namesOf(options)
  const deaf = everybody.slice(0, Math.floor(options.owners * 0.4))
  const heard = everybody.slice(deaf.length)

  const { perSecond, grantedSeconds } = await bulk(scene, options, report)
  const { peak, cpuSeconds } = await operator.call<Usage>('usage')
  report(`operator ${mebibytes(peak)} MiB, ${cpuSeconds.toFixed(1)} s of CPU`)

  const calm = await trickle(scene, 'calm', options.trickle, heard, report)
  await owners.call('blackHole', deaf)
  const turning = await trickle(scene, 'turning', options.trickle, heard, report)
  await settled(operator)
  const [lost] = await Promise.all([
    trickle(scene, 'lost', options.trickle, heard, report),
    createMany(scene.client, 'deaf', options.trickle, deaf, tricklePerSecond),
  ])
  const slowdown = percentile(lost, 0.99) / percentile(calm, 0.99)
  const after = await operator.call<Usage>('usage')
  const decision = decisionSeconds(await operator.call<string>('metrics'))
  const figures = [
    `${options.owners} owners, ${options.services} services: RemoteWorks persisted at ${perSecond.toFixed(0)} a second (users, a simulated API server and the other owners on the same machine), all granted after ${grantedSeconds.toFixed(0)} s`,
    `reconcile of a placement p99 at most ${decision} s`,
    `operator's memory ${mebibytes(after.peak)} MiB at its peak, CPU ${((cpuSeconds / options.services) * 1000).toFixed(1)} ms a service`,
    `service to grant p50 ${percentile(calm, 0.5)} ms, p99 ${percentile(calm, 0.99)} ms; with ${deaf.length} owners black-holed, and asked as often, p50 ${percentile(lost, 0.5)} ms, p99 ${percentile(lost, 0.99)} ms (${slowdown.toFixed(2)} times); in the moments when they were lost p50 ${percentile(turning, 0.5)} ms, p99 ${percentile(turning, 0.99)} ms`,
  ].join('; ')
  const holds =
    perSecond >= aimPerSecond &&
    after.peak <= aimGibibytes * 2 ** 30 &&
    slowdown <= mostSlowdown &&
    Number(decision) <= decisionAimSeconds
  return { figures, holds }
}

/** Creates all services at once; how fast their RemoteWorks were persisted, and when all were granted. */
async function bulk(scene: Scene, options: ScaleOptions, report: (line: string) => void) {
  const begun = Date.now()
  await createMany(scene.client, 'bulk', options.services, namesOf(options))
  report(`${options.services} services created after ${((Date.now() - begun) / 1000).toFixed(1)} s`)
  const seen = await allSeen(scene, 'bulk', options.services, report, 'persisted')
  const perSecond = options.services / ((Math.max(...seen.map(({ persisted }) => persisted)) - begun) / 1000)
  report(`RemoteWorks persisted at ${perSecond.toFixed(0)} a second`)
  await allSeen(scene, 'bulk', options.services, report, 'granted')
  const grantedSeconds = (Date.now() - begun) / 1000
  report(`all granted after ${grantedSeconds.toFixed(1)} s`)
  return { perSecond, grantedSeconds }
}

function namesOf({ owners }: ScaleOptions): string[] {
  return Array.from({ length: owners }, (_, i) => `owner-${i}`)
}

async function prepare(client: KubeClient, { identity }: Known, options: ScaleOptions): Promise<void> {
  const labels = { [dataClassLabel]: 'Public' }
  await client.create(
    namespaces,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: systemNamespace } },
    { signal },
  )
  await client.create(
    namespaces,
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    { signal },
  )
  const { status, ...rest } = identity
  await client.create(identities, { ...rest, metadata: { name: 'main' } }, { signal })
  await client.patch(identities, { name: 'main' }, { status }, { signal, subresource: 'status' })
  const { metadata, ...digits } = model('digits')
  const made = await client.create<Model>(
    models,
    { ...digits, metadata: { name: metadata.name, namespace } },
    { signal },
  )
  const verified = {
    ...{ type: 'Verified', status: 'True', reason: 'Verified', message: '' },
    ...{ lastTransitionTime: new Date().toISOString(), observedGeneration: made.metadata.generation ?? 1 },
  }
  await client.patch(
    models,
    { namespace, name: metadata.name },
    { status: { conditions: [verified] } },
    { signal, subresource: 'status' },
  )
  for (let first = 0; first < options.owners; first += peersOfPolicy) {
    const count = Math.min(peersOfPolicy, options.owners - first)
    const peers = Array.from({ length: count }, (_, i) => ({ name: `owner-${first + i}` }))
    await client.apply<EgressPolicy>(
      egressPolicies,
      {
        apiVersion,
        kind: 'EgressPolicy',
        metadata: { name: `public-${first}` },
        spec: egressPolicySpecSchema.parse({ dataClasses: ['Public'], peers }),
      },
      { signal, fieldManager: 'admin' },
    )
  }
}

/** Creates services, each with a few of these owners to choose from; as fast as it can, or at a rate. */
async function createMany(
  client: KubeClient,
  prefix: string,
  count: number,
  owners: readonly string[],
  rate = Number.POSITIVE_INFINITY,
): Promise<Map<string, number>> {
  const created = new Map<string, number>()
  const begun = performance.now()
  let next = 0
  const lane = async () => {
    for (let i = next++; i < count; i = next++) {
      const wait = (i / rate) * 1000 - (performance.now() - begun)
      if (wait > 0) await new Promise((done) => setTimeout(done, wait))
      const peers = Array.from({ length: candidates }, (_, n) => {
        const name = owners[(i * 7 + n * 31) % owners.length] ?? ''
        return { name, maxReplicas: 2 }
      })
      const unique = [...new Map(peers.map((each) => [each.name, each])).values()]
      const name = `${prefix}-${i}`
      created.set(`${namespace}/${name}`, Date.now())
      await client.apply<InferenceService>(
        inferenceServices,
        {
          apiVersion,
          kind: 'InferenceService',
          metadata: { namespace, name },
          // With all defaults, which only a real API server would fill in.
          spec: inferenceServiceSpecSchema.parse({
            modelRef: { name: 'digits' },
            scaling: { mode: 'External' },
            replicas: 1,
            placement: { own: { maxReplicas: 0 }, peers: unique },
          }),
        },
        { signal, fieldManager: 'user' },
      )
      // The controller of own workers, which is not here, says how many are wanted in all.
      await client.patch(
        inferenceServices,
        { namespace, name },
        { status: { desiredReplicas: 1 } },
        { signal, subresource: 'status', fieldManager: 'workers' },
      )
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return created
}

/** Services of these owners at a rate; milliseconds from the call that creates each until its RemoteWork is seen granted. */
async function trickle(
  scene: Scene,
  prefix: string,
  count: number,
  owners: readonly string[],
  report: (line: string) => void,
): Promise<number[]> {
  const created = await createMany(scene.client, prefix, count, owners, tricklePerSecond)
  await allSeen(scene, prefix, count, report, 'granted')
  const seen = await scene.owners.call<[string, Sighting][]>('seen', `${namespace}/${prefix}-`)
  const took = seen.map(([key, { granted = 0 }]) => granted - (created.get(key) ?? 0))
  report(`${prefix}: service to grant p50 ${percentile(took, 0.5)} ms, p99 ${percentile(took, 0.99)} ms`)
  return took
}

async function allSeen(
  { owners }: Scene,
  prefix: string,
  count: number,
  report: (line: string) => void,
  what: 'persisted' | 'granted',
): Promise<Sighting[]> {
  let told = 0
  return eventually(
    `${count} RemoteWorks of ${prefix} are ${what}`,
    async () => {
      const seen = await owners.call<[string, Sighting][]>('seen', `${namespace}/${prefix}-`)
      const found = seen.map(([, sighting]) => sighting).filter((each) => each[what] !== undefined)
      if (found.length >= count) return found
      if (Date.now() - told > 10_000) report(`${found.length} of ${count} ${what}`)
      if (Date.now() - told > 10_000) told = Date.now()
      await new Promise((done) => setTimeout(done, 500))
      return undefined
    },
    900_000,
  )
}

/** Until nothing waits in the queues of the operator, twice in a row. */
async function settled(operator: Remote): Promise<void> {
  let quiet = 0
  await eventually(
    'the queues of the operator are empty',
    async () => {
      const metrics = await operator.call<string>('metrics')
      const depths = [...metrics.matchAll(/^hansa_workqueue_depth\{.*\} (\d+)$/gm)].map(([, depth]) => Number(depth))
      if (depths.length === 0) throw new Error('there is no metric of the depth of the queues')
      quiet = depths.every((depth) => depth === 0) ? quiet + 1 : 0
      await new Promise((done) => setTimeout(done, 1000))
      return quiet >= 2
    },
    300_000,
  )
}

/** Upper bound of the bucket that holds the 99th percentile of reconciles of placements. */
function decisionSeconds(metrics: string): string {
  const pattern = /^hansa_reconcile_duration_seconds_bucket\{.*le="([^"]+)".*controller="placement".*\} (\d+)$/gm
  const buckets = [...metrics.matchAll(pattern)].map(([, le = '', count = '0']) => ({ le, count: Number(count) }))
  const total = buckets.at(-1)?.count ?? 0
  return buckets.find(({ count }) => count >= total * 0.99)?.le ?? 'unknown'
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
