/** One way to authenticate that a server offers: scheme and parameter names in lower case. */
export type Challenge = { readonly scheme: string; readonly params: ReadonlyMap<string, string> }

const longestHeader = 8192
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/
const token68 = /^[A-Za-z0-9._~+/-]+=*(?=\s*(,|$))/
const quotedString = /^"((?:[^"\\]|\\.)*)"/

/**
 * Reads `WWW-Authenticate` (RFC 9110 11.6.1). What cannot be read ends the list, as do more than 8 KiB: a server that cannot name
 * what it wants gets nothing.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = []
  let rest = (typeof header === 'string' ? header : (header?.join(', ') ?? '')).slice(0, longestHeader)
  for (;;) {
    rest = rest.replace(/^[\s,]+/, '')
    const name = token.exec(rest)?.[0]
    if (name === undefined) return challenges
    const value = /^\s*=\s*/.exec(rest.slice(name.length))
    const current = challenges.at(-1)
    if (value !== null && current !== undefined) {
      rest = rest.slice(name.length + value[0].length)
      const quoted = quotedString.exec(rest)
      const plain = quoted === null ? token.exec(rest)?.[0] : undefined
      if (quoted === null && plain === undefined) return challenges
      // A parameter may stand only once; the first is kept, so that a second cannot change what was read.
      const text = quoted === null ? (plain ?? '') : (quoted[1] ?? '').replaceAll(/\\(.)/g, '$1')
      if (!current.params.has(name.toLowerCase())) current.params.set(name.toLowerCase(), text)
      rest = rest.slice((quoted?.[0] ?? plain ?? '').length)
      continue
    }
    if (value !== null) return challenges
    challenges.push({ scheme: name.toLowerCase(), params: new Map() })
    rest = rest.slice(name.length).replace(/^\s+/, '')
    if (!/^[^\s,="]+\s*=\s*["!#$%&'*+.^_`|~0-9A-Za-z-]/.test(rest))
      rest = rest.slice(token68.exec(rest)?.[0].length ?? 0)
  }
}
