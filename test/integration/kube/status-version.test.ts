import { isConflict } from '@hansa/operator/kube/api-error.ts'
import { createApplier } from '@hansa/operator/kube/apply-if-changed.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { models } from '@hansa/operator/kube/hansa-resources.ts'
import { summarise, verified } from '@hansa/operator/model/finding.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { model, withSource } from '../../builders/model.ts'
import { installDefinitions } from '../../cluster/definitions.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { clientFor } from './harness.ts'

const { signal } = new AbortController()
let owner: Owner | undefined
let client: KubeClient | undefined

beforeAll(async () => {
  owner = await startOwner({ name: 'status-version' })
  await installDefinitions(owner)
  client = await clientFor(owner.kubeconfigPath, 'test')
})
afterAll(async () => {
  await client?.close()
  await owner?.stop()
})

test('what was found out about a deleted Model never lands on a new one of its name', async () => {
  if (client === undefined) throw new Error('the control plane did not start')
  const { apiVersion, kind, spec } = model('digits', withSource({ local: { path: 'digits/v1' } }))
  const ref = { namespace: 'default', name: 'digits' }
  const create = () => client?.create(models, { apiVersion, kind, metadata: ref, spec }, { signal })
  const first = await create()
  await client.delete(models, ref, { signal })
  const second = await create()
  if (first === undefined || second === undefined) throw new Error('not created')

  const status = summarise(first, verified(), new Date())
  const write = (resourceVersion: string) => ({ apiVersion, kind, metadata: { ...ref, resourceVersion }, status })
  const applier = createApplier(client, 'hansa-model')
  const refused = await applier
    .applyStatus(models, write(first.metadata.resourceVersion), first, { signal })
    .catch((error: unknown) => error)
  expect(isConflict(refused)).toBe(true)
  expect((await client.get(models, ref, { signal }))?.status).toBeUndefined()

  const written = await applier.applyStatus(models, write(second.metadata.resourceVersion), second, { signal })
  expect(written.status?.conditions?.[0]?.status).toBe('True')
  // Once it is so, the version in what is applied causes no second write.
  const again = write(written.metadata.resourceVersion)
  expect(await applier.applyStatus(models, again, written, { signal })).toBe(written)
})
