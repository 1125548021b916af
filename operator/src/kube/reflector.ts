import type { Registry } from 'prom-client'
import type { KubeObject } from '../api/resource.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { isExpired, isTooNew, KubeApiError } from './api-error.ts'
import { createBackoff } from './backoff.ts'
import type { KubeClient, Selectors, WatchEvent } from './client-types.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { reflectorMetrics } from './metrics.ts'
import type { Live, Resource } from './resource.ts'
import { createStore, type Indexes, type Store } from './store.ts'
import { keepOwnFields } from './transform.ts'
import { createWatchdog } from './watchdog.ts'

export type ReflectorDeps = {
  readonly client: KubeClient
  readonly log: Logger
  readonly clock?: Clock
  /** Between 0 and 1, for jitter. */
  readonly random?: () => number
  readonly registry?: Registry
}

export type ReflectorOptions<T extends KubeObject, Index extends string> = Selectors & {
  readonly resource: Resource<T>
  /** Left out: all namespaces. */
  readonly namespace?: string
  readonly indexes?: Indexes<T, Index>
  /** Makes an object smaller before it is kept; it may change it in place. Default `keepOwnFields`. */
  readonly transform?: (object: Live<T>) => Live<T>
}

export type Reflector<T extends KubeObject, Index extends string = never> = {
  readonly store: Store<T, Index>
  /** Milliseconds since the API server last said anything, or since the start. */
  silentMilliseconds(): number
  /** Ends list and watch for good; the store stays readable. */
  stop(): Promise<void>
}

// client-go's numbers.
const firstPause = 800
const longestPause = 30_000
const healthyAfter = 120_000
// Bookmarks come once a minute and 2 s before a watch's end. A watch that says nothing for longer than `silence` is replaced;
// after that watches are kept so short that a living one must speak, until there is something to say again.
const silence = 45_000
const quietWatchSeconds = 40
// How often a list that is older than what was seen already is asked for again before it is taken for a restored backup.
const oldListRetries = 3

/**
 * Keeps a store in step with the API server, by list and watch, until the signal or `stop` ends it. It never gives up: errors
 * back off, an expired version lists anew, a silent watch is replaced and resumes where it was.
 */
export function startReflector<T extends KubeObject, Index extends string = never>(
  deps: ReflectorDeps,
  options: ReflectorOptions<T, Index>,
  signal: AbortSignal,
): Reflector<T, Index> {
  const { client, clock = systemClock, random = Math.random } = deps
  const { resource, namespace, labelSelector, fieldSelector } = options
  const transform = options.transform ?? keepOwnFields
  const log = deps.log.child({ cluster: client.cluster, resource: resource.plural })
  const metrics = reflectorMetrics(deps.registry, { cluster: client.cluster, resource: resource.plural })
  const scope = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  }
  // Without indexes there is no index name to be wrong about.
  const indexes = options.indexes ?? ({} as Indexes<T, Index>)
  const { store, writer } = createStore<T, Index>(indexes, (thrown) =>
    log.error({ error: messageOf(thrown) }, 'an index function or a listener failed'),
  )
  const stopping = new AbortController()
  const onSignal = () => stopping.abort(signal.reason)
  if (signal.aborted) onSignal()
  else signal.addEventListener('abort', onSignal, { once: true })

  const backoff = createBackoff(firstPause, longestPause, random)
  const relistBackoff = createBackoff(firstPause, longestPause, random)
  let seen: string | undefined
  let listedAt = Number.NEGATIVE_INFINITY
  let heardAt = clock.monotonic()
  let quiet = false

  const heard = () => {
    heardAt = clock.monotonic()
    metrics.heard(clock.now())
  }

  async function list(): Promise<string> {
    for (let tries = 0; ; tries++) {
      metrics.listed()
      const { resourceVersion, items } = await client.list(resource, {
        ...scope,
        signal: stopping.signal,
        timeoutSeconds: 60,
      })
      heard()
      listedAt = clock.monotonic()
      if (isOlder(resourceVersion, seen) && tries < oldListRetries) {
        log.warn({ resourceVersion, seen }, 'refused a list that is older than what was seen already')
        await sleep(clock, backoff.next(), stopping.signal)
        continue
      }
      writer.replace(items.map(transform))
      metrics.objects(store.size)
      seen = resourceVersion
      return resourceVersion
    }
  }

  function take(event: WatchEvent<T>): void {
    if (event.type === 'BOOKMARK') {
      seen = event.resourceVersion
      return
    }
    quiet = false
    const { resourceVersion } = event.object.metadata
    if (isOlder(resourceVersion, seen)) {
      log.warn({ resourceVersion, seen }, 'ignored a change that is older than what was seen already')
      return
    }
    seen = resourceVersion
    if (event.type === 'DELETED') writer.remove(event.object.metadata)
    else writer.put(transform(event.object))
    metrics.objects(store.size)
  }

  /** One watch; resolves when it ended well, or was silent for too long. */
  async function watch(resourceVersion: string): Promise<void> {
    const began = clock.monotonic()
    const timeoutSeconds = quiet ? quietWatchSeconds : Math.round(300 + 300 * random())
    const wasQuiet = quiet
    const dog = createWatchdog(clock, stopping.signal, silence)
    metrics.watched()
    try {
      const events = client.watch(resource, {
        ...scope,
        resourceVersion,
        timeoutSeconds,
        signal: dog.signal,
        onActivity: () => {
          dog.pat()
          heard()
        },
      })
      for await (const event of events) take(event)
    } catch (thrown) {
      if (!dog.barked()) throw thrown
      quiet = true
      metrics.silent()
      // A quiet watch is asked to end earlier than this, so its silence means a dead connection.
      if (wasQuiet) log.warn({ silentSeconds: silence / 1_000 }, 'a watch was silent for too long; replacing it')
      return
    } finally {
      dog.stop()
    }
    const lasted = clock.monotonic() - began
    if (lasted >= Math.min(healthyAfter, timeoutSeconds * 800)) backoff.reset()
    else await sleep(clock, backoff.next(), stopping.signal)
  }

  async function pauseAfter(thrown: unknown): Promise<void> {
    const asked = thrown instanceof KubeApiError ? (thrown.afterSeconds ?? 0) * 1_000 : 0
    const pause = Math.max(backoff.next(), Math.min(asked, 60_000))
    log.warn({ error: messageOf(thrown), pauseMilliseconds: Math.round(pause) }, 'cannot follow the API server')
    await sleep(clock, pause, stopping.signal)
  }

  async function run(): Promise<void> {
    let version: string | undefined
    while (!stopping.signal.aborted) {
      try {
        if (version === undefined) version = await list()
        await watch(seen ?? version)
      } catch (thrown) {
        if (stopping.signal.aborted) return
        metrics.failed()
        if (!isExpired(thrown) && !isTooNew(thrown)) {
          await pauseAfter(thrown)
          continue
        }
        log.info({ seen }, 'the resource version has expired; listing anew')
        version = undefined
        // At once the first time, but a server that answers each watch so must not be listed without end.
        if (clock.monotonic() - listedAt < longestPause) {
          await sleep(clock, relistBackoff.next(), stopping.signal)
        } else relistBackoff.reset()
      }
    }
  }

  const running = run()
    .catch((thrown: unknown) => log.error({ error: messageOf(thrown) }, 'the reflector ended'))
    .finally(() => signal.removeEventListener('abort', onSignal))
  return {
    store,
    silentMilliseconds: () => clock.monotonic() - heardAt,
    async stop() {
      stopping.abort(new DOMException('the reflector was stopped', 'AbortError'))
      await running
    },
  }
}

/** Resource versions are decimal numbers that can be compared (KEP-5504); whatever is none is never older. */
export function isOlder(version: string, seen: string | undefined): boolean {
  const number = /^[0-9]{1,40}$/
  return seen !== undefined && number.test(version) && number.test(seen) && BigInt(version) < BigInt(seen)
}
