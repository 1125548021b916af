import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { createClient } from '@hansa/operator/kube/client.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import { peers as peerResource, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import { refOf } from '@hansa/operator/kube/resource.ts'
import { stringify } from 'yaml'
import { work } from '../builders/remote-work.ts'
import type { CutKind } from '../cluster/hansa/cut.ts'
import { type Federation, startFederation } from '../cluster/hansa/federation.ts'
import { model } from '../integration/operator/objects.ts'
import { type IdleRoom, startIdleRoom } from './grant-latency/idle-room.ts'
import { percentile } from './grant-latency/percentiles.ts'
import { type Sightings, stages, watchStages } from './grant-latency/sightings.ts'

export const promise = {
  id: 'grant-latency',
  claim: 'A peer with room starts asked work at once, and a peer that is lost is noticed',
  aim: 'from a RemoteWork to its pod object at an idle peer whose fetch has the model: p99 at most 500 ms and one round trip; a peer lost by reset or by silence is Connected=Unknown within 15 s',
}

export type GrantOptions = { requests: number; warm: number; losses: number }
const full: GrantOptions = { requests: 100, warm: 5, losses: 3 }

const aimMs = 500
const lossAimSeconds = 15
const namespace = 'library'
const guests = 'guest-library'
const { signal } = new AbortController()

/** Two owners on this machine: control planes, operators, links and gateways of each as processes of their own. */
export async function run(
  report: (line: string) => void,
  options: GrantOptions = full,
): Promise<{ figures: string; holds: boolean }> {
  const federation = await startFederation({
    owners: [
      { name: 'library', nodes: 1, gpusPerNode: 0 },
      { name: 'university', nodes: 1, gpusPerNode: 0 },
    ],
    log: report,
  })
  const stopping = new AbortController()
  let room: IdleRoom | undefined
  const clients: KubeClient[] = []
  try {
    const [requester, executor] = await Promise.all(
      ['library', 'university'].map((name) => clientOf(federation.owner(name).owner.kubeconfigPath)),
    )
    if (requester === undefined || executor === undefined) throw new Error('two owners')
    clients.push(requester, executor)
    room = await startIdleRoom(executor, 'idle-gpus', 8)
    await prepare(federation)
    const sightings = watchStages({ requester, executor }, guests, stopping.signal)
    const tripMs = await roundTrips(federation.owner('university').linkAddress ?? '')
    const runs = await ask({ requester, sightings, room, report }, options)
    const latency = latencyOf(runs, tripMs, report)
    const losses = await loseOwner(federation, requester, options.losses, report)
    const worst = Math.max(...losses.map(({ seconds }) => seconds))
    return {
      figures: `p50 ${latency.p50} ms, p99 ${latency.p99} ms of ${runs.length} requests (round trip p99 ${latency.trip} ms); lost owner noticed after ${worst.toFixed(1)} s at most (n ${losses.length})`,
      holds: latency.p99 <= aimMs + latency.trip && worst <= lossAimSeconds,
    }
  } finally {
    stopping.abort()
    await room?.stop()
    await Promise.all(clients.map((client) => client.close()))
    await federation.stop()
  }
}

async function clientOf(path: string): Promise<KubeClient> {
  return createClient({ cluster: await clusterFromKubeConfig({ path }), userAgent: 'grant-latency' })
}

/** What the two admins set: what may leave here, what is lent there. */
async function prepare(federation: Federation): Promise<void> {
  const labels = { 'hansa.dev/data-class': 'Internal', 'pod-security.kubernetes.io/enforce': 'restricted' }
  const egress = { dataClasses: ['Internal'], peers: [{ name: 'university' }] }
  await federation
    .owner('library')
    .apply(
      yaml(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
        { apiVersion, kind: 'EgressPolicy', metadata: { name: 'internal' }, spec: egress },
      ),
    )
  const digits = await model('digits', 'digits/v1')
  await federation.owner('library').apply(yaml({ ...digits, metadata: { name: 'digits', namespace } }))
  const strict = { 'pod-security.kubernetes.io/enforce': 'restricted', 'hansa.dev/guests': 'true' }
  const share = {
    peers: [{ name: 'library' }],
    workloads: ['Serve'],
    targetNamespace: guests,
    quota: { 'nvidia.com/gpu': '8', cpu: '64', memory: '256Gi' },
    maxLeases: 100,
    dataClasses: ['Internal'],
  }
  await federation
    .owner('university')
    .apply(
      yaml(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: guests, labels: strict } },
        { apiVersion, kind: 'SharePolicy', metadata: { name: 'to-library' }, spec: share },
      ),
    )
}

function yaml(...objects: object[]): string {
  return objects.map((each) => stringify(each)).join('---\n')
}

type Asking = { requester: KubeClient; sightings: Sightings; room: IdleRoom; report: (line: string) => void }
/** Milliseconds from the RemoteWork's creation to each stage. */
type Run = ReadonlyMap<string, number>

/** Asks one after the other, each as a RemoteWork of its own; the first ones bring the model there and compile code. */
async function ask({ requester, sightings, room, report }: Asking, options: GrantOptions): Promise<Run[]> {
  const digits = await model('digits', 'digits/v1')
  const asked = work({
    models: [{ name: 'digits', format: 'ONNX', files: filesOf(digits), entrypoint: 'model.onnx', source: 'Requester' }],
    resources: { limits: { cpu: '1', memory: '1Gi', 'nvidia.com/gpu': '1' } },
    serve: {
      requestSeconds: 60,
      loadSeconds: 600,
      drainSeconds: 0,
      requestBytes: 1_048_576,
      responseBytes: 1_048_576,
      queueDepth: 10,
      executionProvider: 'Auto',
    },
    leaseSeconds: 600,
  })
  const runs: Run[] = []
  for (let i = -options.warm; i < options.requests; i++) {
    const object: RemoteWork = {
      apiVersion,
      kind: 'RemoteWork',
      metadata: { namespace, name: `work-${i + options.warm}` },
      spec: { peerRef: { name: 'university' }, work: asked },
    }
    const began = performance.now()
    const { metadata } = await requester.create(remoteWorks, object, { signal })
    const seen = await until(`the pod of ${metadata.name}`, i < 0 ? 120_000 : 60_000, async () => {
      const found = sightings.of(metadata.uid)
      return found.has('pod') ? found : undefined
    }).catch(async (error: unknown) => {
      const now = await requester.get(remoteWorks, refOf(object), { signal })
      throw new Error(`${String(error)}; RemoteWork says ${JSON.stringify(now?.status?.conditions)}`)
    })
    if (i >= 0) runs.push(new Map([...seen].map(([stage, at]) => [stage, at - began])))
    await requester.delete(remoteWorks, refOf(object), { signal })
    await emptied(room)
    if (i >= 0 && (i + 1) % 25 === 0) report(`${i + 1} of ${options.requests} requests`)
  }
  return runs
}

/** The pod is gone before the next is asked for: the peer is idle again. */
async function emptied(room: IdleRoom): Promise<void> {
  await until('the guest is gone', 60_000, async () => ((await room.sweep(guests)) === 0 ? true : undefined))
}

function filesOf(manifest: { spec?: object }): { path: string; sha256: string; sizeBytes: number }[] {
  // The manifest was made from an example's file just now.
  return (manifest.spec as { files: { path: string; sha256: string; sizeBytes: number }[] }).files
}

async function until<R>(what: string, milliseconds: number, check: () => Promise<R | undefined>): Promise<R> {
  const end = performance.now() + milliseconds
  for (;;) {
    const result = await check()
    if (result !== undefined) return result
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`)
    await sleep(20)
  }
}

/** TCP handshakes with the peer's link over the line that its connections take: one bare round trip each. */
async function roundTrips(address: string): Promise<number[]> {
  const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.slice(address.lastIndexOf(':') + 1))]
  const trips: number[] = []
  for (let i = 0; i < 20; i++) {
    const began = performance.now()
    const socket = connect({ host, port })
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    trips.push(performance.now() - began)
    socket.destroy()
    // Strangers are let in by rate.
    await sleep(100)
  }
  return trips
}

function latencyOf(runs: readonly Run[], trips: readonly number[], report: (line: string) => void) {
  let before: readonly number[] = runs.map(() => 0)
  for (const stage of stages) {
    const reached = runs.map((run) => run.get(stage) ?? Number.NaN)
    if (reached.some(Number.isNaN)) continue
    // Two stages may be seen in either order; what came first took no time of the other.
    const took = reached.map((at, i) => Math.max(0, at - (before[i] ?? 0)))
    report(
      `${stage.padEnd(10)} after p50 ${percentile(reached, 0.5).toFixed(0)} ms, p99 ${percentile(reached, 0.99).toFixed(0)} ms; the step alone p50 ${percentile(took, 0.5).toFixed(0)} ms, p99 ${percentile(took, 0.99).toFixed(0)} ms`,
    )
    before = reached
  }
  const pods = runs.map((run) => run.get('pod') ?? Number.POSITIVE_INFINITY)
  const trip = Math.ceil(percentile(trips, 0.99))
  report(`bare round trip (TCP handshake): p50 ${percentile(trips, 0.5).toFixed(2)} ms, p99 ${trip} ms`)
  return { p50: Math.round(percentile(pods, 0.5)), p99: Math.round(percentile(pods, 0.99)), trip }
}

/** Cuts all lines between the two and waits until the Peer says so. */
async function loseOwner(
  federation: Federation,
  requester: KubeClient,
  times: number,
  report: (line: string) => void,
): Promise<{ kind: CutKind; seconds: number }[]> {
  const state = async () => {
    const peer = await requester.get(peerResource, { name: 'university' }, { signal })
    return conditionOf(peer?.status?.conditions, 'Connected')?.status
  }
  const losses: { kind: CutKind; seconds: number }[] = []
  for (let i = 0; i < times; i++) {
    for (const kind of ['Reset', 'Silence'] as const) {
      await until('the peer is connected', 180_000, async () => ((await state()) === 'True' ? true : undefined))
      federation.cut('library', 'university', kind)
      const began = performance.now()
      await until('the loss is noticed', 120_000, async () => ((await state()) === 'Unknown' ? true : undefined))
      const seconds = (performance.now() - began) / 1000
      losses.push({ kind, seconds })
      report(`lost by ${kind}: noticed after ${seconds.toFixed(1)} s`)
      federation.heal('library', 'university')
    }
  }
  return losses
}
