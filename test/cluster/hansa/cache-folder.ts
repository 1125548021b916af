import { homedir } from 'node:os'
import { join } from 'node:path'

/** A folder below the user's cache for Hansa. */
export function cacheFolder(name: string): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hansa', name)
}
