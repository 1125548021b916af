import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inferenceService, withReplicas, withSpec } from '../../../test/builders/inference-service.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { RevisionWindow } from '../demand/demand.ts'
import { latencyBoundsMs } from '../gateway/demand/demand-report.ts'
import { revisionLabels } from '../inferenceservice/names.ts'
import { type Plan, plan, revisionIn } from '../inferenceservice/plan.ts'
import type { Deployment } from '../kube/builtin.ts'
import type { Pod } from '../kube/pod-types.ts'

const template = { spec: { containers: [] } }
const revisions = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'] as const

type Event =
  | { type: 'Latest'; revision: string }
  | { type: 'Ready'; revision: string; isReady: boolean }
  | { type: 'Break'; revision: string }
  | { type: 'Traffic'; failures: number; requests: number; isComplete: boolean }
  | { type: 'Wanted'; wanted: number }
  | { type: 'Pause'; paused: boolean }
  | { type: 'Retry' }
  | { type: 'Time'; seconds: number }
  /** Another operator goes on from an older view for one turn; the API server refuses what it writes to the status. */
  | { type: 'Stale' }

const revision = fc.constantFrom(...revisions)
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ type: fc.constant('Latest' as const), revision }),
  fc.record({ type: fc.constant('Ready' as const), revision, isReady: fc.boolean() }),
  fc.record({ type: fc.constant('Break' as const), revision }),
  fc.record({
    type: fc.constant('Traffic' as const),
    failures: fc.constantFrom(0, 0, 0, 1, 30),
    requests: fc.constantFrom(0, 5, 30, 100),
    isComplete: fc.boolean(),
  }),
  fc.record({ type: fc.constant('Wanted' as const), wanted: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ type: fc.constant('Pause' as const), paused: fc.boolean() }),
  fc.constant({ type: 'Retry' as const }),
  fc.record({ type: fc.constant('Time' as const), seconds: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ type: fc.constant('Time' as const), seconds: fc.integer({ min: 1, max: 20 }) }),
  fc.constant({ type: 'Stale' as const }),
)

/** A cluster that does what plans say: Deployments come and go, workers become ready unless they are unready or broken. */
class World {
  readonly service: InferenceService = inferenceService(
    'chat',
    withReplicas(2),
    withSpec({
      rollout: {
        strategy: 'Canary',
        paused: false,
        steps: [
          { percent: 10, seconds: 10 },
          { percent: 60, seconds: 10 },
        ],
        analysis: { windowSeconds: 10, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 2000 },
      },
    }),
  )
  readonly deployments = new Map<string, Deployment>()
  readonly unready = new Set<string>()
  readonly broken = new Set<string>()
  latest: string = revisions[0]
  wanted = 2
  now = Date.parse('2026-11-23T12:00:00Z')
  retries = 0
  traffic: Extract<Event, { type: 'Traffic' }> = { type: 'Traffic', failures: 0, requests: 0, isComplete: true }
  old: InferenceService['status']

  apply(happens: Event): void {
    if (happens.type === 'Latest') this.latest = happens.revision
    else if (happens.type === 'Wanted') this.wanted = happens.wanted
    else if (happens.type === 'Traffic') this.traffic = happens
    else if (happens.type === 'Time') this.now += happens.seconds * 1_000
    else if (happens.type === 'Pause') this.service.spec.rollout.paused = happens.paused
    else if (happens.type === 'Break') this.broken.add(happens.revision)
    else if (happens.type === 'Ready') {
      if (happens.isReady) this.unready.delete(happens.revision)
      else this.unready.add(happens.revision)
    } else if (happens.type === 'Retry') {
      this.retries += 1
      const annotations = { 'hansa.dev/rollout-retry': `${this.latest}@${this.retries}` }
      this.service.metadata = { ...this.service.metadata, annotations }
      this.broken.delete(this.latest)
    } else happens.type satisfies 'Stale'
  }

  ready(name: string): number {
    return this.deployments.get(name)?.status?.readyReplicas ?? 0
  }

  kubelet(): void {
    for (const [name, deployment] of this.deployments) {
      const down = this.unready.has(name) || this.broken.has(name)
      const readyReplicas = down ? 0 : (deployment.spec.replicas ?? 0)
      const cameUp = readyReplicas > 0 || deployment.status?.conditions !== undefined
      const conditions = [{ type: 'Progressing', status: 'True' as const, reason: 'NewReplicaSetAvailable' }]
      const { generation = 1 } = deployment.metadata
      this.deployments.set(name, {
        ...deployment,
        status: { observedGeneration: generation, readyReplicas, ...(cameUp && { conditions }) },
      })
    }
  }

  decide(status: InferenceService['status']): Plan {
    const window = (failures: number): RevisionWindow => ({
      requests: this.traffic.requests,
      failures: Math.min(failures, this.traffic.requests),
      latencyCounts: new Array(latencyBoundsMs.length + 1).fill(0),
      mirrored: 0,
      disagreed: 0,
    })
    const proven = this.service.status?.traffic?.[0]?.revision ?? ''
    const seen = new Map(
      revisions.map((name) => [name, window(name === this.latest && name !== proven ? this.traffic.failures : 0)]),
    )
    return plan({
      service: { ...this.service, ...(status !== undefined && { status }) },
      latest: { revision: this.latest, template },
      deployments: [...this.deployments.values()],
      pods: [...this.broken].filter((name) => this.deployments.has(name)).map(crashing),
      demand: {
        isComplete: () => this.traffic.isComplete,
        window: (seconds) => ({ seconds, meanInFlight: 1, arrivals: this.traffic.requests, revisions: seen }),
      },
      now: this.now,
      wanted: this.wanted,
    })
  }

  /** One reconcile; a stale one acts on Deployments, but cannot write its status. */
  reconcile(isStale: boolean): Plan {
    const decided = this.decide(isStale ? this.old : this.service.status)
    if (decided.latest !== undefined) this.scale(decided.latest.revision, decided.latest.replicas)
    for (const { deployment, replicas } of decided.scale) this.scale(revisionIn(deployment) ?? '', replicas)
    for (const old of decided.remove) this.deployments.delete(revisionIn(old) ?? '')
    if (!isStale) {
      this.old = this.service.status
      const { traffic, rollout } = decided
      this.service.status = { traffic, ...(rollout !== undefined && { rollout }) }
    }
    this.kubelet()
    return decided
  }

  scale(name: string, replicas: number): void {
    const before = this.deployments.get(name)
    if (before?.spec.replicas === replicas) return
    const generation = (before?.metadata.generation ?? 0) + 1
    this.deployments.set(name, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: `chat-${name}`, namespace: 'default', generation, labels: revisionLabels('chat', name) },
      spec: { replicas, selector: {}, template },
      ...(before?.status !== undefined && { status: before.status }),
    })
  }
}

function crashing(name: string): Pod {
  const ended = { terminated: { exitCode: 1 } }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `chat-${name}-x`, namespace: 'default', labels: revisionLabels('chat', name) },
    spec: { containers: [] },
    status: { containerStatuses: [{ name: 'serve', ready: false, restartCount: 1, state: ended }] },
  }
}

test('whatever happens, traffic is whole and goes where workers are, and a bad revision is never promoted', () => {
  let promotions = 0
  let rollbacks = 0
  fc.assert(
    fc.property(fc.array(event, { minLength: 5, maxLength: 60 }), (story) => {
      const world = new World()
      for (let turn = 0; turn < 3; turn++) world.reconcile(false)
      for (const happens of story) {
        world.apply(happens)
        world.kubelet()
        if (happens.type === 'Stale') world.reconcile(true)
        for (let turn = 0; turn < 2; turn++) {
          const before = world.service.status
          const readyBefore = new Map(revisions.map((name) => [name, world.ready(name)]))
          const decided = world.reconcile(false)
          check(world, decided, before, readyBefore)
          if (decided.rolledOut?.reason === 'Promoted' && before?.rollout !== undefined) promotions += 1
          if (decided.rollout?.state === 'RolledBack' && before?.rollout?.state !== 'RolledBack') rollbacks += 1
        }
      }
    }),
    { numRuns: 3_000 },
  )
  // The stories must be such that both ends are met.
  expect(promotions).toBeGreaterThan(50)
  expect(rollbacks).toBeGreaterThan(50)
})

function check(
  world: World,
  decided: Plan,
  before: InferenceService['status'],
  readyBefore: ReadonlyMap<string, number>,
): void {
  const { traffic } = decided
  const all = traffic.reduce((sum, { percent }) => sum + percent, 0)
  expect(traffic.length === 0 || all === 100, 'traffic sums to 100 or is empty').toBe(true)
  for (const { revision: name } of traffic) {
    expect(world.deployments.has(name), `traffic names ${name}, which exists`).toBe(true)
  }
  const percentOf = (name: string) => traffic.find((entry) => entry.revision === name)?.percent ?? 0
  const told = before?.traffic ?? []
  const reachable = told.some((entry) => entry.percent > 0 && (readyBefore.get(entry.revision) ?? 0) > 0)
  if (reachable && world.wanted > 0) {
    const stays = revisions.some((name) => percentOf(name) > 0 && (readyBefore.get(name) ?? 0) > 0)
    expect(stays, 'who was served is served still').toBe(true)
  }
  const tried = before?.rollout
  if (tried === undefined || tried.revision !== world.latest) return
  const isPromoted = percentOf(tried.revision) === 100 && decided.rollout === undefined
  if (isPromoted && told.some((entry) => entry.revision !== tried.revision && world.deployments.has(entry.revision))) {
    expect(tried.state, 'what was rolled back is not promoted').not.toBe('RolledBack')
    expect(world.broken.has(tried.revision), 'what crashes is not promoted').toBe(false)
    const isBad = world.traffic.failures === 30 && world.traffic.requests >= 30
    expect(isBad, 'what fails is not promoted').toBe(false)
  }
}
