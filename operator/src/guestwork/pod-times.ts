import type { Clock } from '../kube/clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Store } from '../kube/store.ts'
import type { PodTime } from './meter.ts'
import { type PodView, podView } from './pod-view.ts'

// A guest whose pods come and go faster than they are counted loses the oldest; the time of those that run is never lost.
const mostDeparted = 256

/** Pods as views, kept in step with the store, and when those that are gone ended. */
export type PodTimes = {
  views(): Iterable<PodView>
  /** The pods of an InferenceService (`namespace/name`), those that are gone too until they are `forget`-ed. */
  timesOf(service: string): PodTime[]
  /** How many pods of a service are there. */
  countOf(service: string): number
  /** Drops the departed that ended at or before that time, which is counted. */
  forget(service: string, until: string): void
}

/** Follows the store of pods for as long as the signal lasts. */
export function followPods(pods: Pick<Store<Pod>, 'list' | 'subscribe'>, clock: Clock, signal: AbortSignal): PodTimes {
  const views = new Map<string, PodView>()
  const departed = new Map<string, PodTime[]>()

  const put = (pod: Pod) => views.set(pod.metadata.uid ?? '', podView(pod))
  for (const pod of pods.list()) put(pod)
  const stop = pods.subscribe(({ previous, current }) => {
    if (current !== undefined) put(current)
    const gone = previous !== undefined && previous.metadata.uid !== current?.metadata.uid ? previous : undefined
    const view = gone === undefined ? undefined : views.get(gone.metadata.uid)
    if (gone === undefined || view === undefined) return
    views.delete(gone.metadata.uid)
    if (view.service === undefined || view.startTime === undefined) return
    const end = view.endTime ?? new Date(clock.now()).toISOString()
    const list = departed.get(view.service) ?? []
    departed.set(view.service, [...list, { uid: view.uid, start: view.startTime, end }].slice(-mostDeparted))
  })
  signal.addEventListener('abort', stop, { once: true })

  const of = (service: string) => [...views.values()].filter((view) => view.service === service)
  return {
    views: () => views.values(),
    timesOf(service) {
      const present = of(service).flatMap(({ uid, startTime, endTime, over }): PodTime[] => {
        if (startTime === undefined) return []
        // A pod that is over without a word on when counts for nothing rather than for ever.
        const end = over ? (endTime ?? startTime) : undefined
        return [{ uid, start: startTime, ...(end !== undefined && { end }) }]
      })
      return [...present, ...(departed.get(service) ?? [])]
    },
    countOf: (service) => of(service).length,
    forget(service, until) {
      const left = (departed.get(service) ?? []).filter(({ end }) => Date.parse(end ?? '') > Date.parse(until))
      if (left.length > 0) departed.set(service, left)
      else departed.delete(service)
    },
  }
}
