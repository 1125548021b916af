import type { Registry } from 'prom-client'
import { type AccessKey, accessKeySpecSchema } from '../../api/access-key.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Clock } from '../../kube/clock.ts'
import { accessKeys } from '../../kube/hansa-resources.ts'
import { startReflector } from '../../kube/reflector.ts'
import type { Logger } from '../../process/log.ts'
import { SavedState } from '../saved-state.ts'
import { type KeySpec, type KeyTable, keySpecSchema } from './access-key.ts'

const gatherMs = 20

/**
 * Keeps the table of keys as the API server says; until its list is in, keys of an earlier run count. Hashes, not keys, are kept
 * on disk.
 */
export async function followKeys(
  deps: {
    client: KubeClient
    table: KeyTable
    stateDir: string
    clock: Clock
    log: Logger
    random: () => number
    registry: Registry
  },
  signal: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const { client, table, clock, log, registry, random } = deps
  const saved = new SavedState({
    stateDir: deps.stateDir,
    fileName: 'access-keys.json',
    versions: [1],
    field: 'keys',
    item: keySpecSchema,
    clock,
    log,
  })
  const stored = await saved.load()
  if (stored !== undefined) table.replace(stored.items)
  const keys = startReflector({ client, log, clock, random, registry }, { resource: accessKeys }, signal)
  let gathering: (() => void) | undefined

  function update(): void {
    gathering = undefined
    if (signal.aborted || !keys.store.isSynced()) return
    const specs = keys.store.list().flatMap(keySpecOf)
    table.replace(specs)
    saved.save(specs)
  }
  const changed = () => {
    gathering ??= clock.after(gatherMs, update)
  }
  const unsubscribe = keys.store.subscribe(changed)
  keys.store.synced.then(changed, () => {
    // Rejects only when the signal ends the reflector before its first list; then there is nothing to follow.
  })
  return {
    stop: async () => {
      gathering?.()
      unsubscribe()
      await keys.stop()
      await saved.flush()
    },
  }
}

/** What counts of an AccessKey; nothing while it is suspended, being deleted, or unreadable: a doubtful key opens nothing. */
export function keySpecOf({ metadata, spec }: AccessKey): KeySpec[] {
  const parsed = accessKeySpecSchema.safeParse(spec)
  if (!parsed.success || parsed.data.suspend || metadata.deletionTimestamp !== undefined) return []
  const { services, secrets, limits } = parsed.data
  return [
    {
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      services,
      secrets: secrets.flatMap(({ sha256, notAfter }) => {
        if (notAfter === undefined) return [{ sha256 }]
        const notAfterMilliseconds = Date.parse(notAfter)
        return Number.isNaN(notAfterMilliseconds) ? [] : [{ sha256, notAfterMilliseconds }]
      }),
      ...(limits.requestsPerMinute !== undefined && { requestsPerMinute: limits.requestsPerMinute }),
      ...(limits.inFlight !== undefined && { inFlight: limits.inFlight }),
    },
  ]
}
