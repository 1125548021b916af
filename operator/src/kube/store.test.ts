import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ConfigMap } from './builtin.ts'
import type { Live } from './resource.ts'
import { type Change, createStore } from './store.ts'

function object(name: string, version: number, color = 'red', uid = name): Live<ConfigMap> {
  const metadata = { namespace: 'ns', name, uid, resourceVersion: String(version) }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { color } }
}

const indexes = { color: ({ data }: ConfigMap) => (data?.color === undefined ? [] : [data.color]) }

function setUp() {
  const errors: unknown[] = []
  const made = createStore<ConfigMap, 'color'>(indexes, (thrown) => errors.push(thrown))
  const changes: Change<ConfigMap>[] = []
  made.store.subscribe((change) => changes.push(change))
  return { ...made, changes, errors }
}

test('the store is synced with the first list, not before', async () => {
  const { store, writer } = setUp()
  writer.put(object('a', 1))
  expect(store.isSynced()).toBe(false)
  writer.replace([])
  await store.synced
  expect(store.isSynced()).toBe(true)
  expect(store.size).toBe(0)
})

test('a list tells listeners what is new, changed and gone, and nothing about the rest', () => {
  const { writer, changes } = setUp()
  writer.replace([object('same', 1), object('old', 2), object('gone', 3), object('reborn', 4, 'red', 'first')])
  changes.length = 0
  writer.replace([object('same', 1), object('old', 7), object('new', 8), object('reborn', 4, 'red', 'second')])
  const told = changes.map(({ key, previous, current }) => [
    key,
    previous?.metadata.resourceVersion,
    current?.metadata.resourceVersion,
  ])
  expect(told.sort()).toEqual([
    ['ns/gone', '3', undefined],
    ['ns/new', undefined, '8'],
    ['ns/old', '2', '7'],
    ['ns/reborn', '4', '4'],
  ])
})

test('a listener or an index function that throws stops nobody', () => {
  const { store, writer, errors } = setUp()
  store.subscribe(() => {
    throw new Error('bad listener')
  })
  const heard: string[] = []
  store.subscribe(({ key }) => heard.push(key))
  writer.put(object('a', 1))
  // What the API server sends need not fit its schema.
  writer.put({ ...object('b', 1), data: null as unknown as Record<string, string> })
  expect(heard).toEqual(['ns/a', 'ns/b'])
  expect(errors).toHaveLength(2)
  expect(store.byIndex('color', 'red')).toHaveLength(1)
})

test('after any changes the indexes agree with a scan of all objects', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd')
  const colors = fc.constantFrom('red', 'green', 'blue')
  const step = fc.oneof(
    fc.record({ do: fc.constant('put' as const), name: names, color: colors }),
    fc.record({ do: fc.constant('remove' as const), name: names, color: colors }),
    fc.record({ do: fc.constant('replace' as const), name: names, color: colors }),
  )
  fc.assert(
    fc.property(fc.array(step), (script) => {
      const { store, writer } = setUp()
      script.forEach(({ do: verb, name, color }, version) => {
        if (verb === 'put') writer.put(object(name, version, color))
        if (verb === 'remove') writer.remove({ namespace: 'ns', name })
        if (verb === 'replace') writer.replace([object(name, version, color)])
      })
      for (const color of ['red', 'green', 'blue']) {
        const scanned = store.list().filter(({ data }) => data?.color === color)
        expect(new Set(store.byIndex('color', color))).toEqual(new Set(scanned))
      }
      expect(new Set(store.list('ns'))).toEqual(new Set(store.list()))
      expect(store.list('other')).toEqual([])
    }),
  )
})
