import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlreadyExists, isConflict, isExpired, KubeApiError } from '@hansa/operator/kube/api-error.ts'
import { createApplier } from '@hansa/operator/kube/apply-if-changed.ts'
import {
  type ConfigMap,
  configMaps,
  type Deployment,
  deployments,
  events,
  type NetworkPolicy,
  namespaces,
  networkPolicies,
  serviceAccounts,
  type TokenRequest,
  tokenReviews,
} from '@hansa/operator/kube/builtin.ts'
import { createClient } from '@hansa/operator/kube/client.ts'
import type { Applied, KubeClient } from '@hansa/operator/kube/client-types.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import { addFinalizer, hasFinalizer, removeFinalizer } from '@hansa/operator/kube/finalizers.ts'
import { clusterFromPod } from '@hansa/operator/kube/in-cluster.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { keepOwnFields } from '@hansa/operator/kube/transform.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { clientFor, eventually, testLog } from './harness.ts'

const { signal } = new AbortController()
const namespace = 'toolkit'
let owner: Owner
let client: KubeClient

beforeAll(async () => {
  owner = await startOwner({ name: 'kube-client' })
  client = await clientFor(owner.kubeconfigPath, 'client-test')
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { signal })
})

afterAll(async () => {
  await client?.close()
  await owner?.stop()
})

function configMap(name: string, data: Record<string, string> = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data }
}

test('an object that does not exist is undefined, and deleting it says so', async () => {
  expect(await client.get(configMaps, { namespace, name: 'none' }, { signal })).toBeUndefined()
  expect(await client.delete(configMaps, { namespace, name: 'none' }, { signal })).toBe(false)
})

test('an object is created once, replaced only from its newest version, and deleted only as the same incarnation', async () => {
  const made = await client.create(configMaps, configMap('one', { a: '1' }), { signal })
  await expect(client.create(configMaps, configMap('one'), { signal })).rejects.toSatisfy(isAlreadyExists)
  const changed = await client.replace(configMaps, { ...made, data: { a: '2' } }, { signal })
  await expect(client.replace(configMaps, { ...made, data: { a: '3' } }, { signal })).rejects.toSatisfy(isConflict)
  const ref = { namespace, name: 'one' }
  await expect(client.delete(configMaps, ref, { signal, uid: 'another' })).rejects.toSatisfy(isConflict)
  await expect(
    client.delete(configMaps, ref, { signal, resourceVersion: made.metadata.resourceVersion }),
  ).rejects.toSatisfy(isConflict)
  expect(await client.delete(configMaps, ref, { signal, uid: changed.metadata.uid })).toBe(true)
})

test('a list comes in pages and is whole, with the kind on each item', async () => {
  const metadata = { labels: { paged: 'yes' } }
  for (let n = 0; n < 23; n++) {
    const object = configMap(`page-${n}`)
    await client.create(configMaps, { ...object, metadata: { ...object.metadata, ...metadata } }, { signal })
  }
  const list = await client.list(configMaps, { namespace, signal, labelSelector: 'paged=yes', pageSize: 5 })
  expect(list.items).toHaveLength(23)
  expect(list.items.every(({ kind, apiVersion }) => kind === 'ConfigMap' && apiVersion === 'v1')).toBe(true)
  const one = await client.list(configMaps, { namespace, signal, fieldSelector: 'metadata.name=page-7' })
  expect(one.items.map(({ metadata }) => metadata.name)).toEqual(['page-7'])
})

test('a watch yields changes and ends when the server ends it', async () => {
  const { resourceVersion } = await client.list(configMaps, { namespace, signal })
  const options = { namespace, resourceVersion, timeoutSeconds: 3, signal }
  const seen: string[] = []
  const ended = (async () => {
    for await (const event of client.watch(configMaps, options)) {
      seen.push(event.type === 'BOOKMARK' ? event.type : `${event.type} ${event.object.metadata.name}`)
    }
  })()
  const made = await client.create(configMaps, configMap('watched'), { signal })
  await client.replace(configMaps, { ...made, data: { b: 'x' } }, { signal })
  await client.delete(configMaps, { namespace, name: 'watched' }, { signal })
  await ended
  expect(seen.filter((each) => each !== 'BOOKMARK')).toEqual(['ADDED watched', 'MODIFIED watched', 'DELETED watched'])
})

test('a watch from a forgotten version is refused as expired', async () => {
  const watch = client.watch(configMaps, { namespace, resourceVersion: '1', timeoutSeconds: 5, signal })
  const read = async () => {
    for await (const event of watch) if (event.type !== 'BOOKMARK') return event
    return undefined
  }
  // A young API server still knows its whole past: then the first event is older than any list.
  const outcome = await read().catch((thrown: unknown) => thrown)
  expect(isExpired(outcome) || (outcome as { type?: string })?.type === 'ADDED').toBe(true)
})

test('the signal ends a watch at once', async () => {
  const stopping = new AbortController()
  const { resourceVersion } = await client.list(configMaps, { namespace, signal })
  const watch = client.watch(configMaps, { namespace, resourceVersion, timeoutSeconds: 60, signal: stopping.signal })
  const ended = (async () => {
    for await (const _ of watch);
  })()
  setTimeout(() => stopping.abort(new Error('enough')), 200)
  await expect(ended).rejects.toThrow('enough')
})

test('what the server refuses has its reason, and is tried again only seldom', async () => {
  const bad = configMap('Not A Name')
  const error = await client.create(configMaps, bad, { signal }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(KubeApiError)
  expect(error).toMatchObject({ status: 422, reason: 'Invalid', retry: 'after', afterSeconds: 300 })
})

test('a token of a service account is made, reviewed, and used from a pod folder', async () => {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: 'app' } }
  await client.create(serviceAccounts, account, { signal })
  const body: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { name: 'app', namespace },
    spec: { audiences: ['hansa-ca'], expirationSeconds: 600 },
  }
  const request = await client.createSubresource(serviceAccounts, account.metadata, 'token', body, { signal })
  const token = request.status?.token ?? ''
  const review = await client.create(
    tokenReviews,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: { name: '' },
      spec: { token, audiences: ['hansa-ca'] },
    },
    { signal },
  )
  expect(review.status).toMatchObject({
    authenticated: true,
    user: { username: `system:serviceaccount:${namespace}:app` },
  })

  const dir = await mkdtemp(join(tmpdir(), 'hansa-pod-'))
  try {
    await writeFile(join(dir, 'token'), `${await owner.createToken('app', namespace)}\n`)
    await writeFile(join(dir, 'ca.crt'), owner.caPem)
    await writeFile(join(dir, 'namespace'), namespace)
    const cluster = await clusterFromPod({
      serviceAccountDir: dir,
      host: '127.0.0.1',
      port: String(owner.apiserverPort),
    })
    const pod = createClient({ cluster, userAgent: 'pod-test' })
    try {
      const refused = await pod.get(configMaps, { namespace, name: 'x' }, { signal }).catch((thrown: unknown) => thrown)
      expect(refused).toMatchObject({ status: 403, reason: 'Forbidden' })
      await writeFile(join(dir, 'token'), await owner.createToken('default', 'default'))
      expect(await pod.raw('GET', '/version', { signal })).toMatchObject({ major: '1' })
    } finally {
      await pod.close()
    }
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('a finalizer holds an object until it is removed', async () => {
  const made = await client.create(configMaps, configMap('held'), { signal })
  const held = await addFinalizer(client, configMaps, made, 'hansa.dev/test', { signal })
  expect(hasFinalizer(held, 'hansa.dev/test')).toBe(true)
  expect(await addFinalizer(client, configMaps, held, 'hansa.dev/test', { signal })).toBe(held)
  await expect(addFinalizer(client, configMaps, made, 'hansa.dev/other', { signal })).rejects.toSatisfy(isConflict)
  const ref = { namespace, name: 'held' }
  await client.delete(configMaps, ref, { signal })
  const deleting = await client.get(configMaps, ref, { signal })
  expect(deleting?.metadata.deletionTimestamp).toBeDefined()
  if (deleting === undefined) return
  await removeFinalizer(client, configMaps, deleting, 'hansa.dev/test', { signal })
  expect(await client.get(configMaps, ref, { signal })).toBeUndefined()
  await removeFinalizer(client, configMaps, deleting, 'hansa.dev/test', { signal })
})

test('events say what happened, and repeats become one series', async () => {
  const made = await client.create(configMaps, configMap('storied'), { signal })
  const recorder = createEventRecorder({
    client,
    controller: 'hansa.dev/operator',
    instance: 'operator-0',
    log: testLog,
  })
  const event = { type: 'Warning' as const, reason: 'DigestMismatch', action: 'Verify', note: 'file a differs' }
  recorder.record(made, event)
  recorder.record(made, event)
  recorder.record(made, event)
  recorder.record(made, { ...event, note: 'file b differs' })
  await recorder.close()
  const { items } = await client.list(events, { namespace, signal })
  const ours = items.filter(({ regarding }) => regarding?.uid === made.metadata.uid)
  expect(ours.map(({ note, series }) => [note, series?.count]).sort()).toEqual([
    ['file a differs', 3],
    ['file b differs', undefined],
  ])
})

describe('applying only what differs', () => {
  const fieldManager = 'hansa-test'

  function deployment(name: string): Applied<Deployment> {
    const labels = { app: name }
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace, name, labels, annotations: {} },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            nodeSelector: {},
            tolerations: [{ key: 'gpu', operator: 'Exists' }],
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [
              {
                name: 'serve',
                image: 'registry.example/worker:1',
                args: ['serve'],
                env: [
                  { name: 'EMPTY', value: '' },
                  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                ],
                ports: [{ name: 'serve', containerPort: 8443 }],
                resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { 'nvidia.com/gpu': '1' } },
                readinessProbe: { httpGet: { path: '/readyz', port: 8081 } },
                securityContext: { capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
                volumeMounts: [
                  { name: 'model', mountPath: '/model', readOnly: true },
                  { name: 'state', mountPath: '/state', readOnly: false },
                ],
              },
            ],
            volumes: [
              { name: 'model', emptyDir: { sizeLimit: '2048Mi' } },
              { name: 'state', emptyDir: {} },
              {
                name: 'token',
                projected: { sources: [{ serviceAccountToken: { audience: 'hansa-ca', path: 'token' } }] },
              },
            ],
          },
        },
      },
    }
  }

  async function live<T extends Deployment | NetworkPolicy>(read: Promise<Live<T> | undefined>): Promise<Live<T>> {
    const object = await read
    if (object === undefined) throw new Error('the object is gone')
    return keepOwnFields(object)
  }
  const liveDeployment = (name: string) => live(client.get(deployments, { namespace, name }, { signal }))

  /** Applies with a fresh applier, so that only the object's own state can tell it to hold still. */
  async function applied(desired: Applied<Deployment>): Promise<boolean> {
    const before = await liveDeployment(desired.metadata.name)
    const writes: string[] = []
    const counting: KubeClient = {
      ...client,
      apply: (...args) => {
        writes.push('apply')
        return client.apply(...args)
      },
    }
    await createApplier(counting, fieldManager).apply(deployments, desired, before, { signal })
    return writes.length > 0
  }

  test('a deployment with all its defaults costs no second write', async () => {
    const desired = deployment('plain')
    await createApplier(client, fieldManager).apply(deployments, desired, undefined, { signal })
    expect(await applied(desired)).toBe(false)
    await eventually('the deployment controller has written status', async () => {
      const now = await liveDeployment('plain')
      return now.status?.observedGeneration === now.metadata.generation
    })
    expect(await applied(desired)).toBe(false)
  })

  test('a network policy with all its defaults costs no second write', async () => {
    const desired: Applied<NetworkPolicy> = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { namespace, name: 'policy' },
      spec: {
        podSelector: { matchLabels: { app: 'x' } },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ ports: [{ port: 8443 }], from: [{ podSelector: { matchLabels: { app: 'gateway' } } }] }],
        egress: [{ ports: [{ protocol: 'UDP', port: 53 }] }, {}],
      },
    }
    const applier = createApplier(client, fieldManager)
    await applier.apply(networkPolicies, desired, undefined, { signal })
    const before = await live(client.get(networkPolicies, { namespace, name: 'policy' }, { signal }))
    const after = await createApplier(client, fieldManager).apply(networkPolicies, desired, before, { signal })
    expect(after).toBe(before)
  })

  const edits: [string, object][] = [
    ['changed a value', { spec: { replicas: 3 } }],
    ['removed a field that is false', { spec: { template: { spec: { automountServiceAccountToken: null } } } }],
    ['removed a label', { metadata: { labels: null } }],
    ['changed a list', { spec: { template: { spec: { tolerations: [{ operator: 'Exists' }] } } } }],
  ]
  for (const [what, patch] of edits) {
    test(`is written again when somebody ${what}`, async () => {
      const desired = deployment('edited')
      await createApplier(client, fieldManager).apply(deployments, desired, undefined, { signal })
      expect(await applied(desired)).toBe(false)
      await client.patch(deployments, { namespace, name: 'edited' }, { ...patch }, { signal, fieldManager: 'somebody' })
      expect(await applied(desired)).toBe(true)
      expect(await applied(desired)).toBe(false)
    })
  }

  test('is written again when a field is no longer wanted, which removes it', async () => {
    const desired = deployment('shrinking')
    await createApplier(client, fieldManager).apply(deployments, desired, undefined, { signal })
    const smaller: Applied<Deployment> = { ...desired, spec: { ...desired.spec, minReadySeconds: 5 } }
    expect(await applied(smaller)).toBe(true)
    expect(await applied(desired)).toBe(true)
    expect((await liveDeployment('shrinking')).spec.minReadySeconds).toBeUndefined()
    expect(await applied(desired)).toBe(false)
  })

  test("leaves others' fields alone", async () => {
    const desired = deployment('shared')
    await createApplier(client, fieldManager).apply(deployments, desired, undefined, { signal })
    const patch = { metadata: { annotations: { 'example.com/theirs': 'yes' } } }
    await client.patch(deployments, { namespace, name: 'shared' }, patch, { signal })
    expect(await applied(desired)).toBe(false)
  })
})
