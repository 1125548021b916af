import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { KubeObject } from '../api/resource.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { isConflict, isOverloaded, isUnanswered } from './api-error.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { startDeadline } from './deadline.ts'
import { controllerMetrics, type ReconcileOutcome } from './metrics.ts'
import type { Live } from './resource.ts'
import type { Store } from './store.ts'
import { createWorkQueue } from './work-queue.ts'

/** A store to listen to, and the keys that one of its objects concerns. Make it with `source`. */
export type Source = {
  readonly synced: Promise<void>
  /** Calls back with a key for each change, and for all objects that are there already; returns the way to stop. */
  subscribe(listener: (key: string) => void, onError: (thrown: unknown) => void): () => void
}

/** Every change of an object in the store asks for a reconcile of the keys that its old and its new version map to. */
export function source<T extends KubeObject>(
  store: Pick<Store<T>, 'synced' | 'list' | 'subscribe'>,
  keys: (object: Live<T>) => readonly string[],
): Source {
  return {
    synced: store.synced,
    subscribe(listener, onError) {
      const tell = (object: Live<T> | undefined) => {
        try {
          if (object !== undefined) keys(object).forEach(listener)
        } catch (thrown) {
          onError(thrown)
        }
      }
      for (const object of store.list()) tell(object)
      return store.subscribe(({ previous, current }) => {
        tell(previous)
        tell(current)
      })
    },
  }
}

/** Handed to each reconcile. */
export type ReconcileContext = {
  /** Ends with the controller, or when the deadline has passed. */
  readonly signal: AbortSignal
  /** Carries `reconcileId`. */
  readonly log: Logger
}

/** `afterSeconds`: look again then, even if nothing changes. */
export type ReconcileResult = { readonly afterSeconds?: number }

export type Controller = {
  /** Asks for a reconcile of that key, from outside of the sources. */
  enqueue(key: string): void
  /** Stops taking keys, ends the signals of the running reconciles, and waits for them. */
  stop(): Promise<void>
}

const defaultAfterSeconds = 60
// While no API server answers, every key would ask it a dozen times a minute, the first eight times within a second.
const unansweredMilliseconds = 1_000
// A reconcile that ignores its signal gives its place to others after this; its key stays locked until it ends.
const graceMilliseconds = 10_000
// Without a reason each abort would make an error, stack and all.
const ended = 'ended'

/**
 * Reconciles each key that the sources name, one run a key at a time. Of what a reconcile throws, a HansaError's `retry`
 * decides when the key is tried again; anything else backs off. Runs until `stop`, or until the signal is aborted.
 */
export function startController(
  deps: { readonly log: Logger; readonly clock?: Clock; readonly registry: Registry },
  options: {
    /** Label of metrics and logs. */
    readonly name: string
    readonly sources: readonly Source[]
    readonly reconcile: (key: string, context: ReconcileContext) => Promise<ReconcileResult>
    /** Reconciles at once; default 4. */
    readonly concurrency?: number
    /** Keys of one group wait for each other, not for those of other groups. */
    readonly groupOf?: (key: string) => string
    /** Deadline of one reconcile; default 120. */
    readonly timeoutSeconds?: number
  },
  signal: AbortSignal,
): Controller {
  const { clock = systemClock, registry } = deps
  const { name, concurrency = 4, timeoutSeconds = 120 } = options
  const log = deps.log.child({ controller: name })
  const metrics = controllerMetrics(registry, name)
  const queue = createWorkQueue(clock, options.groupOf)
  const stopping = new AbortController()
  let running = 0

  function settle(key: string, thrown: unknown, keyLog: Logger): ReconcileOutcome {
    const error = { key, error: messageOf(thrown), reason: thrown instanceof HansaError ? thrown.reason : undefined }
    if (thrown instanceof HansaError && thrown.retry === 'never') {
      queue.forget(key)
      keyLog.warn(error, 'reconcile failed for good; waiting for a change')
      return 'terminal'
    }
    if (thrown instanceof HansaError && thrown.retry === 'after') {
      const pause = (thrown.afterSeconds ?? defaultAfterSeconds) * 1_000
      if (isOverloaded(thrown)) queue.addRateLimited(key, { leastMilliseconds: pause })
      else {
        queue.forget(key)
        queue.addAfter(key, pause)
      }
      keyLog.info(error, 'reconcile will be tried again later')
      return 'requeued'
    }
    queue.addRateLimited(key, isUnanswered(thrown) ? { firstMilliseconds: unansweredMilliseconds } : {})
    if (isConflict(thrown)) {
      keyLog.debug(error, 'reconcile met a newer version; trying again')
      return 'requeued'
    }
    keyLog.error(error, 'reconcile failed; backing off')
    return 'error'
  }

  async function attempt(key: string): Promise<void> {
    const keyLog = log.child({ reconcileId: randomUUID() })
    const began = clock.monotonic()
    const deadline = startDeadline(clock, stopping.signal, timeoutSeconds * 1_000)
    metrics.running(++running)
    try {
      const { afterSeconds } = await options.reconcile(key, { signal: deadline.signal, log: keyLog })
      queue.forget(key)
      if (afterSeconds !== undefined) queue.addAfter(key, afterSeconds * 1_000)
      metrics.reconciled('success', clock.monotonic() - began)
    } catch (thrown) {
      if (stopping.signal.aborted) return
      metrics.reconciled(settle(key, thrown, keyLog), clock.monotonic() - began)
    } finally {
      deadline.clear()
      metrics.running(--running)
      queue.done(key)
      metrics.depth(queue.depth)
    }
  }

  async function work(): Promise<void> {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      metrics.depth(queue.depth)
      const finished = new AbortController()
      const attempted = attempt(key).finally(() => finished.abort(ended))
      const overdue = sleep(clock, timeoutSeconds * 1_000 + graceMilliseconds, finished.signal)
      await Promise.race([attempted, overdue])
      if (!finished.signal.aborted) log.error({ key }, 'reconcile ignores its deadline')
    }
  }

  const unsubscribe: (() => void)[] = []
  async function run(): Promise<void> {
    await Promise.all(options.sources.map((each) => each.synced))
    if (stopping.signal.aborted) return
    const enqueue = (key: string) => {
      queue.add(key)
      metrics.depth(queue.depth)
    }
    const onError = (thrown: unknown) => log.error({ error: messageOf(thrown) }, 'an object maps to no key')
    for (const each of options.sources) unsubscribe.push(each.subscribe(enqueue, onError))
    for (let worker = 0; worker < concurrency; worker++) {
      work().catch((thrown: unknown) => log.error({ error: messageOf(thrown) }, 'a worker ended'))
    }
    log.info({ concurrency }, 'controller started')
  }

  async function stop(): Promise<void> {
    signal.removeEventListener('abort', onSignal)
    for (const each of unsubscribe.splice(0)) each()
    stopping.abort(new DOMException(`controller ${name} was stopped`, 'AbortError'))
    await queue.shutDown()
  }

  const onSignal = () => void stop()
  if (signal.aborted) onSignal()
  else {
    signal.addEventListener('abort', onSignal, { once: true })
    run().catch((thrown: unknown) => log.error({ error: messageOf(thrown) }, 'the controller could not start'))
  }
  return { enqueue: (key) => queue.add(key), stop }
}
