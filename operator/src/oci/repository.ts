export type Repository = { readonly registry: URL; readonly name: string }

/**
 * `registry.example:5000/models/triage` as the registry's URL and the name in it; undefined where that makes no URL. Docker Hub
 * answers under another name than the one that people write.
 */
export function parseRepository(text: string): Repository | undefined {
  const slash = text.indexOf('/')
  const host = text.slice(0, slash)
  const name = text.slice(slash + 1)
  const base = `https://${host === 'docker.io' ? 'registry-1.docker.io' : host}/`
  if (slash < 1 || name === '' || !URL.canParse(base)) return undefined
  const registry = new URL(base)
  return registry.pathname === '/' && registry.username === '' ? { registry, name } : undefined
}
