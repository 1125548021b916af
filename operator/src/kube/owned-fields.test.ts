import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KubeObject } from '../api/resource.ts'
import { isApplied } from './owned-fields.ts'

const manager = 'hansa-test'
type Json = { [name: string]: unknown }

/** What the API server records as owned by whoever applied `value`, where every map is granular and every list atomic. */
function fieldsOf(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([name, below]) => [`f:${name}`, fieldsOf(below)]))
}

function liveOf(desired: KubeObject & { spec: Json }, extra: Json = {}): KubeObject {
  const managed = { manager, operation: 'Apply', apiVersion: 'v1', fieldsV1: { 'f:spec': fieldsOf(desired.spec) } }
  const metadata = { ...desired.metadata, uid: 'u', resourceVersion: '1', managedFields: [managed] }
  return { ...desired, metadata, ...{ spec: { ...structuredClone(desired.spec), ...extra } } }
}

const name = fc.stringMatching(/^[a-z]{1,6}$/)
const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean())
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small' }, scalar, fc.array(scalar), fc.dictionary(name, tie('tree'), { minKeys: 1 })),
}))
const desiredObject = fc
  .dictionary(name, tree, { minKeys: 1 })
  .map((spec) => ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', namespace: 'ns' }, spec: spec as Json }))

function leaves(value: Json, path: string[] = []): string[][] {
  return Object.entries(value).flatMap(([key, below]) => {
    const isMap = typeof below === 'object' && below !== null && !Array.isArray(below)
    // Everything that is no list, null or scalar is a map here.
    return isMap ? leaves(below as Json, [...path, key]) : [[...path, key]]
  })
}

function change(value: Json, [head = '', ...rest]: string[], to: (leaf: unknown) => unknown): Json {
  const below = value[head]
  // Paths come from `leaves`, so all but the last step are maps.
  const next = rest.length === 0 ? to(below) : change(below as Json, rest, to)
  const { [head]: _, ...others } = value
  return next === undefined ? others : { ...others, [head]: next }
}

test('what was applied is applied, whatever the server added', () => {
  fc.assert(
    fc.property(desiredObject, fc.dictionary(fc.stringMatching(/^[A-Z]{7}$/), scalar), (desired, defaults) => {
      expect(isApplied(desired, liveOf(desired, defaults), manager)).toBe(true)
    }),
  )
})

test('any other value, in what is wanted or in what is there, shows', () => {
  fc.assert(
    fc.property(desiredObject, fc.nat(), (desired, at) => {
      const paths = leaves(desired.spec)
      const path = paths[at % paths.length]
      if (path === undefined) return
      const live = liveOf(desired)
      const other = { ...desired, spec: change(desired.spec, path, () => 'something else') }
      expect(isApplied(other, live, manager)).toBe(false)
      const edited = { ...live, spec: other.spec }
      expect(isApplied(desired, edited, manager)).toBe(false)
    }),
  )
})

test('a field that is no longer wanted, and one that is new, show', () => {
  fc.assert(
    fc.property(desiredObject, fc.nat(), (desired, at) => {
      const paths = leaves(desired.spec)
      const path = paths[at % paths.length]
      if (path === undefined) return
      const smaller = { ...desired, spec: change(desired.spec, path, () => undefined) }
      expect(isApplied(smaller, liveOf(desired), manager)).toBe(false)
      const larger = { ...desired, spec: { ...desired.spec, 'NEW-FIELD': 1 } }
      expect(isApplied(larger, liveOf(desired), manager)).toBe(false)
    }),
  )
})

test('an object that somebody else made is not applied', () => {
  const desired = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' }, spec: { a: 1 } }
  expect(isApplied(desired, liveOf(desired), 'hansa-other')).toBe(false)
  expect(isApplied(desired, liveOf(desired), manager, 'status')).toBe(false)
  expect(isApplied({ ...desired, apiVersion: 'v2' }, liveOf(desired), manager)).toBe(false)
  expect(isApplied(desired, desired, manager)).toBe(false)
})

test('whatever the managed fields hold, the answer is yes or no', () => {
  fc.assert(
    fc.property(fc.anything(), desiredObject, (fieldsV1, desired) => {
      const managedFields = [{ manager, operation: 'Apply', apiVersion: 'v1', fieldsV1 }]
      const live = { ...desired, metadata: { ...desired.metadata, managedFields } }
      expect(typeof isApplied(desired, live, manager)).toBe('boolean')
    }),
  )
})
