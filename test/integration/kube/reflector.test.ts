import { type ConfigMap, configMaps, namespaces } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { source, startController } from '@hansa/operator/kube/controller.ts'
import { type Leadership, runElection } from '@hansa/operator/kube/lease.ts'
import { type Reflector, startReflector } from '@hansa/operator/kube/reflector.ts'
import { keyOf, refOfKey } from '@hansa/operator/kube/resource.ts'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../cluster/fault-proxy/start.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { adminThrough, clientFor, eventually, testLog } from './harness.ts'

const { signal } = new AbortController()
const namespace = 'watched'
let owner: Owner
let proxy: FaultProxy
let admin: KubeClient
let client: KubeClient
let running: { stop(): unknown }[] = []

beforeAll(async () => {
  owner = await startOwner({ name: 'kube-reflector' })
  admin = await clientFor(owner.kubeconfigPath, 'admin')
  await admin.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { signal })
  proxy = await startFaultProxy({ owner })
  client = await clientFor(await adminThrough(owner, proxy), 'toolkit')
})

afterEach(async () => {
  for (const each of running) await each.stop()
  running = []
  proxy.reset()
})

afterAll(async () => {
  await client?.close()
  await admin?.close()
  await proxy?.stop()
  await owner?.stop()
})

function follow(): Reflector<ConfigMap> {
  const reflector = startReflector({ client, log: testLog }, { resource: configMaps, namespace }, signal)
  running.push(reflector)
  return reflector
}

let made = 0
async function create(labels: Record<string, string> = {}): Promise<string> {
  const name = `made-${++made}`
  await admin.create(
    configMaps,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name, labels } },
    { signal },
  )
  return name
}

const has = (reflector: Reflector<ConfigMap>, name: string) => reflector.store.get({ namespace, name }) !== undefined
const ours = { when: (facts: { resource: string }) => facts.resource === 'configmaps' }
const lists = () => proxy.requests((facts) => facts.isList && facts.resource === 'configmaps').length

test('the store follows creations, changes and deletions', async () => {
  const reflector = follow()
  await reflector.store.synced
  const name = await create()
  await eventually('it is there', () => has(reflector, name))
  await admin.patch(configMaps, { namespace, name }, { data: { a: 'b' } }, { signal })
  await eventually('it has changed', () => reflector.store.get({ namespace, name })?.data?.a === 'b')
  await admin.delete(configMaps, { namespace, name }, { signal })
  await eventually('it is gone', () => !has(reflector, name))
})

test('a watch that is dropped after each event loses nothing and lists no second time', async () => {
  const reflector = follow()
  await reflector.store.synced
  proxy.inject({ type: 'DropWatch', afterEvents: 1 }, { ...ours, times: 3 })
  await eventually('a watch is open', () => proxy.watches(ours.when).length > 0)
  for (const watch of proxy.watches(ours.when)) watch.drop()
  const names = [await create(), await create(), await create()]
  await eventually('all are there', () => names.every((name) => has(reflector, name)))
  expect(lists()).toBe(1)
})

test('an expired watch is listed anew, and what was deleted meanwhile is gone', async () => {
  const reflector = follow()
  await reflector.store.synced
  const name = await create()
  await eventually('it is there', () => has(reflector, name))
  const [watch] = proxy.watches(ours.when)
  watch?.swallow()
  await admin.delete(configMaps, { namespace, name }, { signal })
  expect(has(reflector, name)).toBe(true)
  const began = performance.now()
  watch?.expire()
  await eventually('it is gone', () => !has(reflector, name), 5_000)
  expect(performance.now() - began).toBeLessThan(5_000)
  expect(lists()).toBe(2)
})

test('an old list does not bring back what is gone', async () => {
  const ghost = await create()
  const reflector = follow()
  await reflector.store.synced
  await eventually('a watch is open', () => proxy.watches(ours.when).length > 0)
  await admin.delete(configMaps, { namespace, name: ghost }, { signal })
  await eventually('it is gone', () => !has(reflector, ghost))
  let came = false
  reflector.store.subscribe(({ key, current }) => {
    if (key === `${namespace}/${ghost}` && current !== undefined) came = true
  })
  proxy.inject({ type: 'StaleList' }, { ...ours, times: 2 })
  proxy.watches(ours.when)[0]?.expire()
  const name = await create()
  await eventually('it lists anew and goes on', () => has(reflector, name))
  expect(came).toBe(false)
  expect(lists()).toBe(4)
})

test('errors on lists and watches are outlived', async () => {
  proxy.inject({ type: 'Respond', status: 500 }, { ...ours, times: 2 })
  proxy.inject({ type: 'Respond', status: 429, retryAfterSeconds: 1 }, { ...ours, times: 1 })
  proxy.inject({ type: 'Cut' }, { ...ours, times: 1 })
  const reflector = follow()
  await eventually('it is synced', () => reflector.store.isSynced(), 30_000)
  const name = await create()
  await eventually('it is there', () => has(reflector, name))
})

test('a controller heals every object although the first writes fail in every way', async () => {
  const reflector = follow()
  const label = 'test.hansa.dev/heal'
  const controller = startController(
    { log: testLog, registry: new Registry() },
    {
      name: 'heal',
      sources: [source(reflector.store, (object) => [keyOf(object.metadata)])],
      reconcile: async (key, context) => {
        const object = reflector.store.get(refOfKey(key))
        if (object?.metadata.labels?.[label] === undefined || object.data?.healed === 'yes') return {}
        const { resourceVersion } = object.metadata
        const patch = { metadata: { resourceVersion }, data: { healed: 'yes' } }
        await client.patch(configMaps, refOfKey(key), patch, { signal: context.signal, timeoutSeconds: 3 })
        return {}
      },
    },
    signal,
  )
  running.push(controller)
  const nth = (index: number) => ({ when: (facts: { writeIndex: number | undefined }) => facts.writeIndex === index })
  proxy.inject({ type: 'Respond', status: 409, reason: 'Conflict' }, nth(1))
  proxy.inject({ type: 'Respond', status: 500 }, nth(2))
  proxy.inject({ type: 'LoseReply' }, nth(3))
  proxy.inject({ type: 'Cut' }, nth(4))
  proxy.inject({ type: 'Silence' }, nth(5))
  const names = await Promise.all(Array.from({ length: 8 }, () => create({ [label]: 'please' })))
  await eventually('all are healed', async () => {
    const objects = await Promise.all(names.map((name) => admin.get(configMaps, { namespace, name }, { signal })))
    return objects.every((object) => object?.data?.healed === 'yes')
  })
  const writes = () => proxy.writes().length
  const before = writes()
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  expect(writes()).toBe(before)
})

test('a second leader takes over within 3 s of a clean stop, with a higher token', async () => {
  const terms: { identity: string; leadership: Leadership }[] = []
  const join = (identity: string) => {
    const stopping = new AbortController()
    const finished = runElection(
      { client, log: testLog },
      { namespace, name: 'operator', identity },
      async (leadership) => {
        terms.push({ identity, leadership })
        await new Promise<void>((resolve) => leadership.signal.addEventListener('abort', () => resolve()))
      },
      stopping.signal,
    )
    const stop = async () => {
      stopping.abort(new Error('SIGTERM'))
      await finished
    }
    running.push({ stop })
    return { stop }
  }
  const first = join('a')
  await eventually('a leads', () => terms.length === 1)
  join('b')
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  const began = performance.now()
  await first.stop()
  await eventually('b leads', () => terms.length === 2, 3_000)
  expect(performance.now() - began).toBeLessThan(3_000)
  const [a, b] = terms
  expect([a?.identity, b?.identity]).toEqual(['a', 'b'])
  expect(b?.leadership.token).toBeGreaterThan(a?.leadership.token ?? 0)
})

test('an API server that is killed and started again loses nothing', async () => {
  const reflector = follow()
  await reflector.store.synced
  const before = await create()
  await eventually('it is there', () => has(reflector, before))
  await owner.parts.apiserver.kill()
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  await owner.parts.apiserver.start()
  const after = await eventually('a write succeeds', () => create().catch(() => undefined), 30_000)
  await eventually('the new one is there', () => has(reflector, after), 40_000)
  const truth = await admin.list(configMaps, { namespace, signal })
  await eventually(
    'the store equals the truth',
    () =>
      reflector.store.size === truth.items.length && truth.items.every((item) => has(reflector, item.metadata.name)),
  )
}, 120_000)
