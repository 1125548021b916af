const maxDepth = 32

/**
 * JSON with one text for one value: no white space, members in the order of their names' UTF-16 code units (as RFC 8785), numbers
 * as JavaScript writes them. Members that are undefined are left out. Throws RangeError beyond 32 levels, TypeError for what JSON
 * cannot say.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > maxDepth) throw new RangeError(`JSON of more than ${maxDepth} levels`)
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((each) => canonicalJson(each, depth + 1)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    let members = ''
    // The default order of sort is that of UTF-16 code units.
    for (const name of Object.keys(value).sort()) {
      const each: unknown = value[name as keyof typeof value]
      if (each === undefined) continue
      members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(each, depth + 1)}`
    }
    return `{${members}}`
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('JSON has no such number')
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`JSON has no ${typeof value}`)
  return text
}

/** The value of canonical JSON in UTF-8; undefined for every other text of the same value, and for what is no JSON. */
export function parseCanonicalJson(bytes: Uint8Array): { value: unknown } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    return canonicalJson(value) === text ? { value } : undefined
  } catch {
    return undefined // no UTF-8, no JSON, or nested too deep
  }
}
