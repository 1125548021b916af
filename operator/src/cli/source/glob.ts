/**
 * Whether a path fits a pattern: `*` and `?` stand for anything within a name, `**` also across folders. A pattern without a slash is
 * about the last name, one that begins with a slash about the path from the top, as in .gitignore.
 */
export function matchesGlob(path: string, pattern: string): boolean {
  const subject = pattern.includes('/') ? path : (path.split('/').at(-1) ?? '')
  const source = pattern.replace(/^\//, '').replaceAll(/\*\*\/|\*\*|\*|\?|[^*?]/g, (part) => {
    if (part === '**/') return '(?:[^/]+/)*'
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    if (part === '?') return '[^/]'
    return part.replace(/[\\^$.|+()[\]{}]/, '\\$&')
  })
  return new RegExp(`^${source}$`, 'su').test(subject)
}

/** Paths that fit one of `include` and none of `exclude`. */
export function selectPaths(
  paths: readonly string[],
  { include, exclude }: { readonly include: readonly string[]; readonly exclude: readonly string[] },
): string[] {
  const fits = (path: string, patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(path, pattern))
  return paths.filter((path) => fits(path, include) && !fits(path, exclude))
}
