import type { KubeObject, ObjectMeta } from '../api/resource.ts'
import { parseQuantity } from './quantity.ts'
import type { ManagedFields } from './transform.ts'

type Fields = Readonly<Record<string, unknown>>
type Json = Readonly<Record<string, unknown>>

// Identity, not state: server-side apply never lists these as owned.
const unownedRoot = new Set(['apiVersion', 'kind'])
const unownedMetadata = new Set(['name', 'namespace', 'uid', 'resourceVersion'])
const quantityParents = new Set(['limits', 'requests'])

/**
 * Whether applying `desired` would change nothing: the field manager owns exactly the fields that `desired` names (KEP-555,
 * `managedFields`), and they have its values. Defaults that the server added do not count; a field that somebody else changed or
 * removed is no longer owned, and one that `desired` has dropped still is, so both show.
 */
export function isApplied(
  desired: KubeObject,
  live: KubeObject,
  fieldManager: string,
  subresource?: 'status',
): boolean {
  const metadata: ObjectMeta & { managedFields?: ManagedFields[] } = live.metadata
  const entry = metadata.managedFields?.find(
    (each) => each.manager === fieldManager && each.operation === 'Apply' && each.subresource === subresource,
  )
  if (entry?.apiVersion !== desired.apiVersion || !isRecord(entry.fieldsV1)) return false
  return sameFields(entry.fieldsV1, desired, live, [])
}

function sameFields(fields: Fields, desired: unknown, live: unknown, path: readonly string[]): boolean {
  const children = Object.keys(fields).filter((name) => name !== '.')
  const isRoot = path.length < 2 && (path[0] ?? 'metadata') === 'metadata'
  if (children.length === 0 && !isRoot) return sameValue(desired, live, isQuantity(path))
  const kind = children[0]?.slice(0, 2)
  if (kind === 'k:') return sameItems(fields, children, desired, live, path)
  if (kind === 'v:') return sameSet(children, desired, live)
  if (!isRecord(desired)) return false
  const owned = new Set<string>()
  for (const child of children) {
    if (!child.startsWith('f:')) return false
    owned.add(child.slice(2))
  }
  for (const [name, value] of Object.entries(desired)) {
    if (value === undefined || isUnowned(name, path)) continue
    // Where only the name is given, nothing of the metadata is owned.
    const below = fields[`f:${name}`] ?? (path.length === 0 && name === 'metadata' ? {} : undefined)
    const found = isRecord(live) ? live[name] : undefined
    // An empty map is owned only until somebody else puts something into it, which is theirs to do.
    if (below === undefined && isEmptyMap(value) && (isRecord(found) || path[0] === 'metadata')) continue
    if (!isRecord(below)) return false
    owned.delete(name)
    if (!sameFields(below, value, found, [...path, name])) return false
  }
  return owned.size === 0
}

function isUnowned(name: string, path: readonly string[]): boolean {
  if (path.length === 0) return unownedRoot.has(name)
  return path.length === 1 && path[0] === 'metadata' && unownedMetadata.has(name)
}

/** A list that is a map: each owned item is named by the values of its keys, which the server may have defaulted. */
function sameItems(
  fields: Fields,
  children: readonly string[],
  desired: unknown,
  live: unknown,
  path: readonly string[],
): boolean {
  if (!Array.isArray(desired) || !Array.isArray(live) || desired.length !== children.length) return false
  const left = new Set<unknown>(desired)
  for (const child of children) {
    const key = parseKey(child)
    const below = fields[child]
    if (key === undefined || !isRecord(below)) return false
    const items = [...left]
    const wanted = items.find((item) => hasKey(item, key, false)) ?? items.find((item) => hasKey(item, key, true))
    const found = live.find((item) => hasKey(item, key, false))
    if (wanted === undefined || !sameItem(below, wanted, found, key, path)) return false
    left.delete(wanted)
  }
  return true
}

function sameItem(below: Fields, wanted: unknown, found: unknown, key: Json, path: readonly string[]): boolean {
  if (Object.keys(below).every((name) => name === '.')) return sameValue(wanted, found, false)
  if (!isRecord(wanted)) return false
  // A key that the server defaulted may be owned without being in `desired`.
  const whole = { ...wanted }
  for (const [name, value] of Object.entries(key)) {
    if (whole[name] === undefined && below[`f:${name}`] !== undefined) whole[name] = value
  }
  return sameFields(below, whole, found, [...path, '[]'])
}

function sameSet(children: readonly string[], desired: unknown, live: unknown): boolean {
  if (!Array.isArray(desired) || !Array.isArray(live)) return false
  const owned = new Set(children.map((child) => child.slice(2)))
  const wanted = new Set(desired.map((value) => JSON.stringify(value)))
  return owned.size === wanted.size && [...wanted].every((value) => owned.has(value))
}

function isQuantity(path: readonly string[]): boolean {
  return quantityParents.has(path.at(-2) ?? '') || path.at(-1) === 'sizeLimit'
}

function sameValue(desired: unknown, live: unknown, quantity: boolean): boolean {
  if (desired === live) return true
  // Go leaves empty values out when it writes JSON; that the field is owned tells this from a removed one.
  if (live === undefined) return isEmpty(desired)
  if (quantity && typeof desired === 'string' && typeof live === 'string') {
    // The server writes 1000m as 1.
    const wanted = parseQuantity(desired)
    return wanted !== undefined && wanted === parseQuantity(live)
  }
  if (Array.isArray(desired)) {
    if (!Array.isArray(live) || desired.length !== live.length) return false
    return desired.every((item, at) => sameValue(item, live[at], false))
  }
  if (!isRecord(desired) || !isRecord(live)) return false
  return Object.entries(desired).every(([name, value]) => sameValue(value, live[name], false))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true
  if (Array.isArray(value)) return value.length === 0
  return isRecord(value) && Object.values(value).every((each) => each === undefined)
}

function isEmptyMap(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length === 0
}

function parseKey(child: string): Json | undefined {
  try {
    const key: unknown = JSON.parse(child.slice(2))
    return isRecord(key) ? key : undefined
  } catch {
    // A form of key that this version does not know: the caller writes, which is always right.
    return undefined
  }
}

function hasKey(item: unknown, key: Json, mayLack: boolean): boolean {
  if (!isRecord(item)) return false
  return Object.entries(key).every(([name, value]) => (item[name] === undefined ? mayLack : item[name] === value))
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
