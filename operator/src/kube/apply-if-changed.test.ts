import { expect, test } from 'vitest'
import { createApplier } from './apply-if-changed.ts'
import { type ConfigMap, configMaps } from './builtin.ts'
import type { Applied, KubeClient } from './client-types.ts'
import type { Live } from './resource.ts'

const { signal } = new AbortController()

function desired(value: string): Applied<ConfigMap> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name: 'a' }, data: { value } }
}

function live(resourceVersion: string, uid = 'u'): Live<ConfigMap> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name: 'a', uid, resourceVersion } }
}

/** An API server that stores what it likes: no managed fields, so nothing ever looks applied. */
function setUp(versions: string[]) {
  const written: string[] = []
  // The applier uses no other method.
  const client = {
    async apply(_: unknown, object: ConfigMap) {
      written.push(object.data?.value ?? '')
      return live(versions.shift() ?? '99')
    },
  } as unknown as KubeClient
  return { applier: createApplier(client, 'hansa-test'), written }
}

test('a store that has not caught up with the last write causes no second one', async () => {
  const { applier, written } = setUp(['7'])
  await applier.apply(configMaps, desired('x'), live('5'), { signal })
  for (const version of ['5', '6', '7']) await applier.apply(configMaps, desired('x'), live(version), { signal })
  expect(written).toEqual(['x'])
})

test('what the server stores otherwise than it was sent is written again only when the object changes', async () => {
  const { applier, written } = setUp(['7', '9'])
  await applier.apply(configMaps, desired('x'), undefined, { signal })
  await applier.apply(configMaps, desired('x'), live('7'), { signal })
  await applier.apply(configMaps, desired('x'), live('8'), { signal })
  await applier.apply(configMaps, desired('x'), live('9'), { signal })
  expect(written).toEqual(['x', 'x'])
})

test('another wish, and another incarnation, are written at once', async () => {
  const { applier, written } = setUp(['7', '8', '9'])
  await applier.apply(configMaps, desired('x'), live('5'), { signal })
  await applier.apply(configMaps, desired('y'), live('5'), { signal })
  await applier.apply(configMaps, desired('y'), live('6', 'reborn'), { signal })
  expect(written).toEqual(['x', 'y', 'y'])
})

test('a write that failed is tried again', async () => {
  let failures = 1
  const client = {
    async apply() {
      if (failures-- > 0) throw new Error('lost')
      return live('7')
    },
  } as unknown as KubeClient
  const applier = createApplier(client, 'hansa-test')
  await expect(applier.apply(configMaps, desired('x'), live('5'), { signal })).rejects.toThrow('lost')
  expect((await applier.apply(configMaps, desired('x'), live('5'), { signal })).metadata.resourceVersion).toBe('7')
})
