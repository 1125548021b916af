import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import {
  inferenceService,
  suspended,
  withExternalReplicas,
  withReplicas,
  withSpec,
} from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { KubeObject } from '../api/resource.ts'
import { KubeApiError } from '../kube/api-error.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import type { Deployment, NetworkPolicy, ServiceAccount } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Live } from '../kube/resource.ts'
import { createStore } from '../kube/store.ts'
import { createLogger } from '../process/log.ts'
import { reconcileInferenceService } from './controller.ts'
import { serviceLabel } from './names.ts'
import { wantedReplicas } from './plan.ts'

const { signal } = new AbortController()
const context = { signal, log: createLogger('test', 'silent') }
const never = (thrown: unknown) => {
  throw thrown
}
const ofService = ({ metadata }: KubeObject) => [`${metadata.namespace}/${metadata.labels?.[serviceLabel]}`]

/** A cluster in memory: what is applied is there at once, and Deployments get ready workers when `workersStart` says. */
function setUp(service: InferenceService, models: Model[] = [model('chat-v1', verified), model('chat-v2', verified)]) {
  const services = createStore<InferenceService, 'model'>({ model: () => [] }, never)
  const modelStore = createStore<Model>({}, never)
  const accounts = createStore<ServiceAccount>({}, never)
  const policies = createStore<NetworkPolicy>({}, never)
  const deployments = createStore<Deployment, 'service'>({ service: ofService }, never)
  const pods = createStore<Pod, 'service'>({ service: ofService }, never)
  // Builders set uid and resourceVersion, as the API server would.
  services.writer.put(service as Live<InferenceService>)
  for (const each of models) modelStore.writer.put(each as Live<Model>)
  const writes: string[] = []
  const events: string[] = []
  const ended: string[] = []
  const faults: { refuse?: KubeApiError | undefined } = {}
  const stores: Record<string, { writer: { put(object: never): void } }> = {
    ServiceAccount: accounts,
    NetworkPolicy: policies,
    Deployment: deployments,
  }
  // In place of server-side apply: an object is as it was applied, and its status stays. The generics cannot be kept in a fake.
  const applier = {
    apply: async (_: unknown, desired: Deployment, live: Deployment | undefined) => {
      if (live !== undefined && isDeepStrictEqual(live.spec, desired.spec)) return live
      if (faults.refuse !== undefined) throw faults.refuse
      writes.push(`${desired.kind} ${desired.metadata.name}`)
      const generation = (live?.metadata.generation ?? 0) + 1
      const made = { ...live, ...desired, metadata: { ...desired.metadata, uid: desired.metadata.name, generation } }
      stores[desired.kind]?.writer.put(made as never)
      return made
    },
    applyStatus: async (_: unknown, desired: { status: InferenceServiceStatus }, live: Live<InferenceService>) => {
      if (isDeepStrictEqual(desired.status, live.status)) return live
      writes.push('status')
      const made = { ...live, status: desired.status }
      services.writer.put(made)
      return made
    },
  } as unknown as Applier
  // The controller calls no other method.
  const client = {
    patch: async (_: unknown, ref: { namespace: string; name: string }, { spec }: { spec: { replicas: number } }) => {
      writes.push(`scale ${ref.name} ${spec.replicas}`)
      const live = deployments.store.get(ref) ?? never('gone')
      deployments.writer.put({ ...live, spec: { ...live.spec, replicas: spec.replicas } })
    },
    delete: async (_: unknown, ref: { namespace: string; name: string }, { uid }: { uid?: string }) => {
      writes.push(`delete ${ref.name}`)
      expect(uid).toBe(ref.name)
      deployments.writer.remove(ref)
      return true
    },
  } as unknown as KubeClient
  const deps = {
    client,
    applier,
    events: {
      record: (_: object, event: { type: string; reason: string }) => events.push(`${event.type} ${event.reason}`),
      close: async () => undefined,
    },
    clock: createManualClock(),
    settings: {
      workerImage: 'worker:1',
      imagePullPolicy: 'Never' as const,
      imagePullSecrets: [],
      allowedDomains: [],
      systemNamespace: 'hansa',
      trustDomain: 'owner.example',
      caPem: 'ca',
      caUrl: 'https://ca',
      fetchUrl: 'https://fetch',
      gatewayUrl: 'https://gw',
    },
    // Without demand: what the spec alone asks for.
    scaler: {
      decide: (each: InferenceService) => {
        const replicas = wantedReplicas(each)
        return { replicas, from: replicas, reason: 'Unchanged' as const }
      },
    },
    services: services.store,
    models: modelStore.store,
    accounts: accounts.store,
    policies: policies.store,
    deployments: deployments.store,
    pods: pods.store,
    demand: {
      isComplete: () => false,
      window: () => undefined,
      now: () => ({ inFlight: 0, held: 0 }),
      quietSeconds: () => 0,
    },
    rollouts: { ended: (reason: string) => ended.push(reason) },
  }
  const ref = { namespace: 'default', name: service.metadata.name }
  const run = () => reconcileInferenceService(`default/${ref.name}`, context, deps)
  return {
    writes,
    events,
    ended,
    faults,
    run,
    /** Reconciles until nothing is written any more; fails when that takes too long. */
    async settle() {
      for (let turn = 0; turn < 10; turn++) {
        const before = writes.length
        await run()
        if (writes.length === before) return
      }
      throw new Error(`never settles: ${writes.join(', ')}`)
    },
    workersStart() {
      for (const each of deployments.store.list()) {
        const { replicas = 0 } = each.spec
        const status = { observedGeneration: each.metadata.generation ?? 1, replicas, readyReplicas: replicas }
        deployments.writer.put({ ...each, status })
      }
    },
    crash() {
      for (const { metadata, spec } of deployments.store.list()) {
        if ((deployments.store.get({ ...ref, name: metadata.name })?.status?.readyReplicas ?? 0) > 0) continue
        const ended = { name: 'serve', ready: false, restartCount: 1, state: { terminated: { exitCode: 1 } } }
        const { labels = {} } = metadata
        const of = { namespace: 'default', name: `${metadata.name}-x`, uid: 'x', resourceVersion: '1', labels }
        const { template } = spec
        const pod = { apiVersion: 'v1', kind: 'Pod', metadata: of, spec: template.spec }
        pods.writer.put({ ...pod, status: { containerStatuses: [ended] } })
      }
    },
    change: (spec: Partial<InferenceService['spec']>) => {
      const now = services.store.get(ref) ?? never('gone')
      services.writer.put({ ...now, spec: { ...now.spec, ...spec } })
    },
    status: () => services.store.get(ref)?.status ?? {},
    ready: () => {
      const condition = services.store.get(ref)?.status?.conditions?.find(({ type }) => type === 'Ready')
      return `${condition?.status} ${condition?.reason}`
    },
    deployments: () => deployments.store.list().map(({ metadata, spec }) => [metadata.name, spec.replicas]),
    remove: () => services.writer.remove(ref),
    removePolicy: (name: string) => policies.writer.remove({ ...ref, name }),
    removeModel: (name: string) => modelStore.writer.remove({ ...ref, name }),
  }
}

test('a new service gets its children, and is ready once its workers are; then nothing is written any more', async () => {
  const it = setUp(inferenceService('chat', withReplicas(2)))
  await it.settle()
  expect(it.writes.map((write) => write.split(' ')[0])).toEqual([
    'ServiceAccount',
    'NetworkPolicy',
    'Deployment',
    'status',
  ])
  expect(it.ready()).toBe('False Progressing')
  it.workersStart()
  await it.settle()
  expect(it.ready()).toBe('True Ready')
  expect(it.status()).toMatchObject({ readyReplicas: 2, url: 'https://gw/default/chat' })
  expect(it.events).toEqual(['Normal Progressing', 'Normal Ready'])
  const before = it.writes.length
  for (let turn = 0; turn < 5; turn++) await it.run()
  expect(it.writes).toHaveLength(before)
})

test('a rollout moves requests before it removes the old workers', async () => {
  const it = setUp(inferenceService('chat'))
  await it.settle()
  it.workersStart()
  await it.settle()
  const { revision: old } = it.status()
  it.change({ modelRef: { name: 'chat-v2' } })
  await it.settle()
  expect(it.status().revision).toBe(old)
  expect(it.deployments()).toHaveLength(2)
  it.workersStart()
  it.writes.length = 0
  await it.settle()
  expect(it.writes.slice(0, 2)).toEqual(['status', `delete chat-${old}`])
  expect(it.status().revision).not.toBe(old)
  expect(it.deployments()).toHaveLength(1)
})

test('a service that goes back to its old version in the middle of a rollout drops the new one', async () => {
  const it = setUp(inferenceService('chat'))
  await it.settle()
  it.workersStart()
  await it.settle()
  const before = it.deployments()
  it.change({ modelRef: { name: 'chat-v2' } })
  await it.settle()
  it.change({ modelRef: { name: 'chat-v1' } })
  await it.settle()
  expect(it.deployments()).toEqual(before)
  expect(it.ready()).toBe('True Ready')
})

test('suspended, a service has no workers; resumed, it has them again', async () => {
  const it = setUp(inferenceService('chat', suspended))
  await it.settle()
  expect(it.writes).toEqual(['status'])
  expect(it.ready()).toBe('False Suspended')
  expect(it.events).toEqual(['Normal Suspended'])
  it.change({ suspend: false })
  await it.settle()
  it.workersStart()
  await it.settle()
  expect(it.ready()).toBe('True Ready')
  it.change({ suspend: true })
  await it.settle()
  expect(it.deployments()).toEqual([])
  expect(it.status().traffic).toEqual([])
})

test('in mode External the Deployment follows spec.replicas', async () => {
  const it = setUp(inferenceService('chat', withExternalReplicas(3)))
  await it.settle()
  expect(it.deployments()[0]?.[1]).toBe(3)
  it.change({ replicas: 0 })
  await it.settle()
  expect(it.deployments()[0]?.[1]).toBe(0)
  expect(it.status()).toMatchObject({ traffic: [{ percent: 100 }], desiredReplicas: 0 })
})

test('a Model of the same name that is not verified yet leaves the workers of the old one running', async () => {
  const it = setUp(inferenceService('chat'), [model('chat-v1', verified)])
  await it.settle()
  it.workersStart()
  await it.settle()
  const [before] = it.deployments()
  it.change({ modelRef: { name: 'missing' } })
  await it.settle()
  expect(it.ready()).toBe('False ModelNotFound')
  expect(it.deployments()).toEqual([before])
  expect(it.status().traffic).toHaveLength(1)
})

test('workers whose Model is gone keep their NetworkPolicy, also where somebody deletes it', async () => {
  const it = setUp(inferenceService('chat'))
  await it.settle()
  it.workersStart()
  await it.settle()
  it.removeModel('chat-v1')
  await it.settle()
  expect(it.events.at(-1)).toBe('Warning ModelNotFound')
  it.writes.length = 0
  it.removePolicy('chat-worker')
  await it.settle()
  expect(it.writes).toEqual(['NetworkPolicy chat-worker'])
  it.change({ suspend: true })
  await it.settle()
  it.removePolicy('chat-worker')
  it.writes.length = 0
  await it.settle()
  expect(it.writes).toEqual([])
})

test('what the API server refuses is in the status, and is tried again', async () => {
  const it = setUp(inferenceService('chat'))
  it.faults.refuse = new KubeApiError({ status: 403, reason: 'Forbidden', message: 'exceeded quota: objects' })
  await expect(it.run()).rejects.toThrow('exceeded quota')
  expect(it.ready()).toBe('False QuotaExceeded')
  await expect(it.run()).rejects.toThrow('exceeded quota')
  expect(it.writes).toEqual(['status'])
  it.faults.refuse = undefined
  await it.settle()
  expect(it.ready()).toBe('False Progressing')
})

test('other errors are not for the status', async () => {
  const it = setUp(inferenceService('chat'))
  it.faults.refuse = new KubeApiError({ status: 500, reason: 'InternalError', message: 'etcd' })
  await expect(it.run()).rejects.toThrow('etcd')
  expect(it.writes).toEqual([])
})

test('of a service that is gone nothing is written', async () => {
  const it = setUp(inferenceService('chat'))
  await it.settle()
  it.remove()
  it.writes.length = 0
  await it.run()
  expect(it.writes).toEqual([])
})

const canary: InferenceService['spec']['rollout'] = {
  strategy: 'Canary',
  paused: false,
  steps: [{ percent: 30, seconds: 60 }],
  analysis: { windowSeconds: 30, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 2000 },
}

test('a canary stands beside the old revision, which keeps its template and all its workers', async () => {
  const it = setUp(inferenceService('chat', withReplicas(4), withSpec({ rollout: canary })))
  await it.settle()
  it.workersStart()
  await it.settle()
  const { revision: old } = it.status()
  it.change({ modelRef: { name: 'chat-v2' } })
  await it.settle()
  expect(it.deployments().map(([, replicas]) => replicas)).toEqual([4, 2])
  expect(it.status().traffic).toEqual([{ revision: old, percent: 100 }])
  it.workersStart()
  await it.settle()
  expect(it.status()).toMatchObject({ revision: old, rollout: { state: 'Progressing', step: 0 } })
  expect(it.status().traffic?.map(({ percent }) => percent)).toEqual([70, 30])
  expect(await it.run()).toEqual({ afterSeconds: 1 })
  it.change({ scaling: { ...inferenceService('x').spec.scaling, minReplicas: 2, maxReplicas: 2 } })
  it.writes.length = 0
  await it.settle()
  expect(it.writes).toContain(`scale chat-${old} 2`)
})

test('a canary whose workers crash is rolled back with an event, counted once, and removed', async () => {
  const it = setUp(inferenceService('chat', withReplicas(1), withSpec({ rollout: canary })))
  await it.settle()
  it.workersStart()
  await it.settle()
  const before = it.deployments()
  it.change({ modelRef: { name: 'chat-v2' } })
  await it.settle()
  it.crash()
  await it.settle()
  expect(it.status().rollout).toMatchObject({ state: 'RolledBack', message: expect.stringMatching(/^NotReady: /) })
  expect(it.ready()).toBe('True Ready')
  expect(it.deployments()).toEqual(before)
  expect(it.events.filter((event) => event === 'Warning NotReady')).toHaveLength(1)
  expect(it.ended).toEqual(['NotReady'])
  expect(await it.run()).toEqual({})
})

test('a canary that is suspended keeps the old template, and begins again when it is resumed', async () => {
  const it = setUp(inferenceService('chat', withReplicas(2), withSpec({ rollout: canary })))
  await it.settle()
  it.workersStart()
  await it.settle()
  const { revision: old } = it.status()
  it.change({ modelRef: { name: 'chat-v2' } })
  await it.settle()
  it.change({ suspend: true })
  await it.settle()
  expect(it.deployments()).toEqual([[`chat-${old}`, 0]])
  expect(it.status().traffic).toEqual([])
  it.change({ suspend: false })
  await it.settle()
  expect(it.status().traffic).toEqual([{ revision: old, percent: 100 }])
  expect(it.deployments().map(([, replicas]) => replicas)).toEqual([2, 1])
})
