import { afterAll, beforeAll, expect, test } from 'vitest'
import { existingContexts, useExistingCluster } from '../../cluster/existing-cluster.ts'
import { startFaultProxy } from '../../cluster/fault-proxy/start.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'

let owner: Owner

beforeAll(async () => {
  owner = await startOwner({ name: 'theirs' })
})

afterAll(async () => {
  await owner?.stop()
})

test('the contexts of a kubeconfig of the user are used as they are and left as they were', async () => {
  const [context] = existingContexts({ HANSA_KUBECONFIG: owner.kubeconfigPath, HANSA_KUBE_CONTEXTS: ' theirs ' })
  const cluster = await useExistingCluster(context ?? { kubeconfigPath: '', context: '' })
  expect(cluster).toMatchObject({ name: 'theirs', serverUrl: owner.serverUrl, caPem: owner.caPem })

  expect(await cluster.kubectl(['create', 'namespace', 'used'])).toMatchObject({ code: 0 })
  expect(await cluster.request({ path: '/api/v1/namespaces/used' })).toMatchObject({ status: 200 })
  const path = '/api/v1/namespaces/used/configmaps'
  const created = await cluster.request({ method: 'POST', path, body: { metadata: { name: 'x' } } })
  expect(created.status).toBe(201)
  const patch = { method: 'PATCH', path: `${path}/x`, body: { data: { key: 'value' } } } as const
  expect(await cluster.request(patch)).toMatchObject({ status: 200, body: { data: { key: 'value' } } })

  const token = await cluster.createToken('default', 'default')
  expect((await cluster.request({ path, token })).status).toBe(403)
  await cluster.stop()
  expect((await owner.request({ path: '/api/v1/namespaces/used' })).status).toBe(200)
})

test('the fault proxy stands before such a cluster too, with an authority of its own', async () => {
  const cluster = await useExistingCluster({ kubeconfigPath: owner.kubeconfigPath, context: 'theirs' })
  const proxy = await startFaultProxy({ owner: cluster })
  expect(proxy.caPem).not.toBe(owner.caPem)
  const kubeconfig = await proxy.kubeconfig({ serviceAccount: 'default', namespace: 'default' })
  const { stdout } = await cluster.kubectl([`--kubeconfig=${kubeconfig}`, 'auth', 'whoami'])
  expect(stdout).toContain('system:serviceaccount:default:default')
  await proxy.stop()
  await cluster.stop()
})

test('contexts without a kubeconfig are a mistake', () => {
  expect(() => existingContexts({ HANSA_KUBE_CONTEXTS: 'a' })).toThrow(/needs HANSA_KUBECONFIG/)
  expect(existingContexts({})).toEqual([])
})
