import type { DemandReport, RevisionReport, ServiceReport } from '../gateway/demand/demand-report.ts'
import type { RevisionWindow, ServiceWindow } from './demand.ts'
import { addSample, indexAt, inFlightSecondsAt, longestWindowSeconds, type Sample } from './samples.ts'

/** One start of a gateway: its counts only grow. */
type Instance = {
  id: string
  /** Since when its counts are known: before the history began for one that was started later. */
  knownFrom: number
  reportedAt: number
  latest: ReadonlyMap<string, ServiceReport>
  samples: Map<string, Sample[]>
}

/** What gateways reported, by the receiver's monotonic clock in seconds. */
export type DemandHistory = {
  /** Takes what a gateway reports at that time. `gateway` names its pod. */
  report(gateway: string, report: DemandReport, at: number): void
  /** The gateway's pod is gone: what it counted stays in the windows. */
  forget(gateway: string, at: number): void
  reportedAt(gateway: string): number | undefined
  /** For how many seconds up to `at` no request can have been missed, but for gateways that never reported. */
  knownSeconds(at: number): number
  /** What was seen in the last seconds; at most an hour. Undefined when no gateway has seen a request. */
  window(key: string, seconds: number, at: number): ServiceWindow | undefined
  now(key: string): { inFlight: number; held: number }
  /** How long no request came or was under way, as far as was reported; Infinity when none was ever seen. */
  quietSeconds(key: string, at: number): number
  /** Keys of services that have requests under way or held. */
  busy(): Set<string>
}

// A gateway that goes without having reported for this long may have seen requests that nobody knows of.
const staleSeconds = 5
const keptInstances = 64
const keptQuietSeconds = 2 * 86_400

/** Makes an empty history that begins at that time. Pure: it knows no clock. */
export function createDemandHistory(startedAt: number): DemandHistory {
  const live = new Map<string, Instance>()
  let past: Instance[] = []
  const activeAt = new Map<string, number>()
  let lostAt = startedAt
  let sweptAt = startedAt

  function retire(gateway: string, at: number): void {
    const instance = live.get(gateway)
    if (instance === undefined) return
    live.delete(gateway)
    if (at - instance.reportedAt > staleSeconds) lostAt = at
    past.push(instance)
    if (past.length > keptInstances) {
      past.shift()
      lostAt = at
    }
  }

  function sweep(at: number): void {
    if (at - sweptAt < 60) return
    sweptAt = at
    past = past.filter(({ reportedAt }) => at - reportedAt <= longestWindowSeconds)
    for (const [key, seen] of activeAt) if (at - seen > keptQuietSeconds) activeAt.delete(key)
  }

  return {
    report(gateway, report, at) {
      if (live.get(gateway)?.id !== report.instance) retire(gateway, at)
      const bornAt = at - report.elapsedSeconds
      const before = live.get(gateway)
      const instance: Instance = before ?? {
        id: report.instance,
        knownFrom: bornAt >= startedAt ? startedAt : at,
        reportedAt: Math.max(bornAt, startedAt),
        latest: new Map(),
        samples: new Map(),
      }
      const countsFromZero = before !== undefined || bornAt >= startedAt
      const latest = new Map<string, ServiceReport>()
      for (const service of report.services) {
        const key = `${service.namespace}/${service.service}`
        latest.set(key, service)
        const samples = instance.samples.get(key) ?? []
        if (samples.length === 0 && countsFromZero) samples.push(zero(instance.reportedAt))
        instance.samples.set(key, samples)
        const last = samples.at(-1)
        const { arrivals, inFlightSeconds, revisions } = service
        const grew = last !== undefined && (arrivals > last.arrivals || inFlightSeconds > last.inFlightSeconds)
        if (grew || service.inFlight + service.held > 0) activeAt.set(key, at)
        addSample(samples, { at, arrivals, inFlightSeconds, revisions })
      }
      instance.latest = latest
      instance.reportedAt = at
      live.set(gateway, instance)
      sweep(at)
    },
    forget: retire,
    reportedAt: (gateway) => live.get(gateway)?.reportedAt,
    knownSeconds(at) {
      let from = lostAt
      for (const { knownFrom } of live.values()) from = Math.max(from, knownFrom)
      return at - from
    },
    window(key, seconds, at) {
      const asked = Math.min(seconds, longestWindowSeconds)
      let covered = Math.min(asked, at - startedAt)
      let meanInFlight = 0
      let arrivals = 0
      const revisions = new Map<string, RevisionWindow>()
      let seen = false
      const add = (instance: Instance, end: number) => {
        const samples = instance.samples.get(key)
        const span = Math.min(asked, end - instance.knownFrom)
        const last = samples?.at(-1)
        if (samples === undefined || last === undefined) return span
        seen = true
        const base = samples[indexAt(samples, end - span)] ?? last
        if (span > 0) meanInFlight += (last.inFlightSeconds - inFlightSecondsAt(samples, end - span)) / span
        arrivals += last.arrivals - base.arrivals
        for (const revision of last.revisions) addRevision(revisions, revision, base)
        return span
      }
      // A silent gateway counts with what it reported last, so that its requests do not seem to be gone.
      for (const instance of live.values()) covered = Math.min(covered, add(instance, instance.reportedAt))
      for (const instance of past) add(instance, Math.max(at, instance.reportedAt))
      return seen ? { seconds: Math.max(0, covered), meanInFlight, arrivals, revisions } : undefined
    },
    now(key) {
      const sum = { inFlight: 0, held: 0 }
      for (const { latest } of live.values()) {
        const service = latest.get(key)
        sum.inFlight += service?.inFlight ?? 0
        sum.held += service?.held ?? 0
      }
      return sum
    },
    quietSeconds(key, at) {
      // What came since the oldest of the reports nobody knows yet.
      let heardAt = at
      for (const { reportedAt } of live.values()) heardAt = Math.min(heardAt, reportedAt)
      return Math.max(0, heardAt - (activeAt.get(key) ?? Number.NEGATIVE_INFINITY))
    },
    busy() {
      const keys = new Set<string>()
      for (const { latest } of live.values()) {
        for (const [key, { inFlight, held }] of latest) if (inFlight + held > 0) keys.add(key)
      }
      return keys
    },
  }
}

function zero(at: number): Sample {
  return { at, arrivals: 0, inFlightSeconds: 0, revisions: [] }
}

function addRevision(sums: Map<string, RevisionWindow>, last: RevisionReport, base: Sample): void {
  const before = base.revisions.find(({ revision }) => revision === last.revision)
  const sum = sums.get(last.revision)
  sums.set(last.revision, {
    requests: (sum?.requests ?? 0) + last.requests - (before?.requests ?? 0),
    failures: (sum?.failures ?? 0) + last.failures - (before?.failures ?? 0),
    latencyCounts: last.latencyCounts.map(
      (count, i) => (sum?.latencyCounts[i] ?? 0) + count - (before?.latencyCounts[i] ?? 0),
    ),
    mirrored: (sum?.mirrored ?? 0) + last.mirrored - (before?.mirrored ?? 0),
    disagreed: (sum?.disagreed ?? 0) + last.disagreed - (before?.disagreed ?? 0),
  })
}
