/**
 * Where `found` lacks something of `wanted`; undefined when it holds all of it. Objects may hold more, lists must be of equal
 * length, and a regular expression is held against the text.
 */
export function difference(found: unknown, wanted: unknown, place = ''): string | undefined {
  if (wanted instanceof RegExp) {
    return wanted.test(String(found)) ? undefined : `${place}: ${shown(found)} is not like ${wanted}`
  }
  if (wanted instanceof Uint8Array) {
    const same = found instanceof Uint8Array && Buffer.compare(found, wanted) === 0
    return same ? undefined : `${place}: ${shown(found)} instead of ${shown(wanted)}`
  }
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return `${place}: ${shown(found)} is no list`
    if (found.length !== wanted.length) return `${place}: ${found.length} elements instead of ${wanted.length}`
    return first(wanted.map((each, index) => difference(found[index], each, `${place}[${index}]`)))
  }
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof found !== 'object' || found === null) return `${place}: ${shown(found)} is no object`
    const held = new Map<string, unknown>(Object.entries(found))
    return first(Object.entries(wanted).map(([key, each]) => difference(held.get(key), each, `${place}.${key}`)))
  }
  return Object.is(found, wanted) || found === wanted
    ? undefined
    : `${place}: ${shown(found)} instead of ${shown(wanted)}`
}

function first(differences: readonly (string | undefined)[]): string | undefined {
  return differences.find((each) => each !== undefined)
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex').slice(0, 80)}`
  if (typeof value === 'bigint') return `${value}n`
  return String(JSON.stringify(value)).slice(0, 120)
}
