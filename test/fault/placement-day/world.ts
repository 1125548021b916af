import type { EgressPolicy } from '@hansa/operator/api/egress-policy.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { ownName } from '@hansa/operator/api/placement.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { apiVersion, type KubeObject } from '@hansa/operator/api/resource.ts'
import { modelState } from '@hansa/operator/inferenceservice/model-state.ts'
import { revisionLabel, serviceLabel } from '@hansa/operator/inferenceservice/names.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { statusCandidates } from '@hansa/operator/placement/candidates.ts'
import { type DivideDeps, divide } from '@hansa/operator/placement/divide.ts'
import { partLabel, remoteWorkName } from '@hansa/operator/placement/names.ts'
import { planPlacement } from '@hansa/operator/placement/plan.ts'
import { createRefusals } from '@hansa/operator/placement/refusals.ts'
import { createSteadyRoom } from '@hansa/operator/placement/steady-room.ts'
import { createTroubles } from '@hansa/operator/placement/troubles.ts'
import { egressPolicy } from '../../builders/egress-policy.ts'
import { inferenceService, withExternalReplicas, withSpec } from '../../builders/inference-service.ts'
import { model, verified } from '../../builders/model.ts'

/** How long a peer takes to answer, and workers to come up. */
const answerSeconds = 5
const startSeconds = 60

/** `lost`: since when it has no node. */
type OwnWorker = { since: number; lost?: number | undefined }

export type World = {
  /** One look of the operator at the service, with so many workers wanted and so much room here and there. */
  step(seconds: number, total: number, room: Readonly<Record<string, number>>): void
  ready(): number
  at(name: string): number
  /** Requests that peers got. */
  readonly asked: number
  /** Workers that were withdrawn from a peer though as many were wanted as before. */
  readonly moves: number
}

/** One service over this cluster and peers, with the product's own decisions on simulated objects. */
export function createWorld(peerNames: readonly string[], start = Date.parse('2026-03-01T00:00:00Z')): World {
  const service = inferenceService(
    'chat',
    withExternalReplicas(1),
    withSpec({
      placement: {
        strategy: 'OwnFirst',
        peers: peerNames.map((name) => ({ name, maxReplicas: 8 })),
        minOwners: 1,
        maxSharePerOwnerPermille: 1000,
        purpose: 'Inference',
        leaseSeconds: 60,
      },
    }),
  )
  const peers = new Map(peerNames.map((name) => [name, live(connectedPeer(name))]))
  const policies = [egressPolicy('all', { peers: peerNames.map((name) => ({ name })) })]
  let works: RemoteWork[] = []
  let own: OwnWorker[] = []
  let [now, asked, moves, freeHere] = [start, 0, 0, 0]
  let last: { total: number; counts: Map<string, number> } | undefined
  const clock = { now: () => now, monotonic: () => now - start, after: () => () => undefined }
  const deps: DivideDeps = {
    clock,
    services: { size: 1 },
    peers: { get: ({ name }) => peers.get(name) },
    identities: { get: () => undefined },
    egressPolicies: { list: () => policies.map(live<EgressPolicy>) },
    remoteWorks: { list: () => works.map(live<RemoteWork>), byIndex: () => [] },
    pods: { byIndex: () => own.map((each, i) => pod(i, each, now)) },
    openMessage: () => ({ ok: false, problem: { reason: 'Malformed', message: 'nobody offers anything' } }),
    ownRoom: { roomFor: (_, most) => Math.min(most, Math.max(0, freeHere - own.length)) },
    refusals: createRefusals(),
    troubles: createTroubles(),
    steady: createSteadyRoom(),
    metrics: { decided: () => undefined, moved: () => undefined },
  }
  const state = modelState('chat-v1', model('chat-v1', verified))
  const template = { spec: { containers: [] } }

  function answer(room: Readonly<Record<string, number>>): void {
    for (const work of works) {
      const { name } = work.spec.peerRef
      const age = (now - Date.parse(work.metadata.creationTimestamp ?? '')) / 1000
      if (work.status === undefined && age >= answerSeconds) {
        const taken = works.filter((each) => each.spec.peerRef.name === name && each.status?.lease !== undefined)
        const used = taken.reduce((sum, each) => sum + each.spec.work.replicas, 0)
        const fits = used + work.spec.work.replicas <= (room[name] ?? 0)
        work.status = fits ? granted(now) : refused(now)
      } else if (work.status?.lease !== undefined && age >= answerSeconds + startSeconds) {
        const { replicas } = work.spec.work
        work.status = { ...granted(now), replicas, readyReplicas: replicas, conditions: readyConditions(now) }
      }
    }
  }

  function look(total: number): void {
    service.status = {
      ...service.status,
      desiredReplicas: total,
      traffic: [{ revision: 'r', percent: 100 }],
      replicas: own.length,
      readyReplicas: own.filter(({ since, lost }) => lost === undefined && now - since >= startSeconds * 1000).length,
    }
    const common = { service, model: state, dataClass: 'Internal' as const, works }
    const divided = divide({ ...common, template, namespaceLabels: { 'hansa.dev/data-class': 'Internal' } }, deps)
    const plan = planPlacement({ ...common, now, revision: 'r', shares: divided.shares })
    works = works.filter((each) => !plan.remove.includes(each))
    for (const { peer, work, part = 0 } of plan.create) {
      asked++
      const name = remoteWorkName({ name: 'chat', uid: `${asked}` }, peer, work, part)
      const labels = { [serviceLabel]: 'chat', [revisionLabel]: 'r', [partLabel]: String(part) }
      const creationTimestamp = new Date(now).toISOString()
      const metadata = { name, namespace: 'default', uid: `w${asked}`, labels, creationTimestamp }
      works.push({ apiVersion, kind: 'RemoteWork', metadata, spec: { peerRef: { name: peer }, work } })
    }
    service.status = { ...service.status, candidates: statusCandidates(divided.decision.candidates, divided.now) }
    const mine = divided.now.get(ownName) ?? 0
    own = own.slice(0, mine)
    while (own.length < mine) own.push({ since: now, lost: own.length < freeHere ? undefined : now })
    count(total, new Map(peerNames.map((name) => [name, runs(name)])))
  }

  function runs(name: string): number {
    if (name === ownName) return own.filter(({ lost }) => lost === undefined).length
    return works
      .filter(({ spec, status }) => spec.peerRef.name === name && status?.lease !== undefined)
      .reduce((sum, { spec }) => sum + spec.work.replicas, 0)
  }

  function count(total: number, counts: Map<string, number>): void {
    if (last?.total === total) {
      for (const [name, before] of last.counts) moves += Math.max(0, before - (counts.get(name) ?? 0))
    }
    last = { total, counts }
  }

  return {
    step(seconds, total, room) {
      now += seconds * 1000
      freeHere = room[ownName] ?? 0
      own = own.map(({ since, lost }, i) => ({ since, lost: i < freeHere ? undefined : (lost ?? now) }))
      answer(room)
      look(total)
    },
    ready: () =>
      (service.status?.readyReplicas ?? 0) + works.reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0),
    at: runs,
    get asked() {
      return asked
    },
    get moves() {
      return moves
    },
  }
}

/** As a store hands it out: made by the API server. */
function live<T extends KubeObject>(object: T): Live<T> {
  return object as Live<T>
}

function connectedPeer(name: string): Peer {
  const condition = (type: string) => ({
    ...{ type, status: 'True' as const, reason: type, message: '' },
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })
  return {
    apiVersion,
    kind: 'Peer',
    metadata: { name },
    spec: { identityRef: { name: 'league' }, ownerId: name, dial: 'Both', seesOffers: true, suspend: false },
    status: { trustDomain: 'a'.repeat(52), conditions: [condition('Verified'), condition('Connected')] },
  }
}

function condition(now: number, type: string, status: 'True' | 'False', reason: string) {
  return { type, status, reason, message: '', lastTransitionTime: new Date(now).toISOString() }
}

const granted = (now: number): NonNullable<RemoteWork['status']> => ({
  answer: { decision: 'Granted', sequence: 1 },
  lease: { epoch: 1, ttlSeconds: 60, signedTime: new Date(now).toISOString(), state: 'Active' },
  conditions: [condition(now, 'Granted', 'True', 'Granted'), condition(now, 'Ready', 'False', 'Progressing')],
})

const readyConditions = (now: number) => [
  condition(now, 'Granted', 'True', 'Granted'),
  condition(now, 'Ready', 'True', 'Ready'),
]

const refused = (now: number): NonNullable<RemoteWork['status']> => ({
  answer: { decision: 'Refused', sequence: 1, refusals: [{ reason: 'QuotaExceeded', message: 'it is full' }] },
  conditions: [condition(now, 'Granted', 'False', 'Refused'), condition(now, 'Ready', 'False', 'Refused')],
})

function pod(i: number, { lost }: OwnWorker, now: number): Live<Pod> {
  const hasNode = lost === undefined
  const scheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }
  const lastTransitionTime = new Date(lost ?? now).toISOString()
  const seen: unknown = {
    metadata: { name: `chat-${i}`, namespace: 'default', uid: `p${i}` },
    spec: { containers: [], ...(hasNode && { nodeName: 'node' }) },
    status: hasNode ? {} : { conditions: [{ ...scheduled, lastTransitionTime }] },
  }
  // Of a pod only this is looked at.
  return seen as Live<Pod>
}
