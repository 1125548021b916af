import type { ServiceReport } from './demand-report.ts'
import { RevisionCounts } from './revision-counts.ts'

const maxRevisions = 16

/** What one service is asked for at this gateway, for scaling and rollouts. Milliseconds are monotonic. */
export class RouteDemand {
  /** Requests that were let in and have no answer yet, held ones included. */
  inFlight = 0
  held = 0
  arrivals = 0
  #integralMs = 0
  #since = 0
  readonly #revisions = new Map<string, RevisionCounts>()

  enter(now: number): void {
    this.#integrate(now)
    this.inFlight += 1
    this.arrivals += 1
  }

  leave(now: number): void {
    this.#integrate(now)
    this.inFlight -= 1
  }

  get revisions(): ReadonlyMap<string, RevisionCounts> {
    return this.#revisions
  }

  /** The counts of a revision, kept also while it has no worker; beyond 16 the one that was used longest ago is forgotten. */
  revision(name: string, now: number): RevisionCounts {
    const known = this.#revisions.get(name)
    if (known !== undefined) return known
    if (this.#revisions.size >= maxRevisions) {
      const oldest = [...this.#revisions].reduce((a, b) => (b[1].lastUsedAt < a[1].lastUsedAt ? b : a))
      this.#revisions.delete(oldest[0])
    }
    const counts = new RevisionCounts()
    counts.lastUsedAt = now
    this.#revisions.set(name, counts)
    return counts
  }

  /** Undefined for a service without a request so far. */
  report(namespace: string, service: string, now: number): ServiceReport | undefined {
    if (this.arrivals === 0) return undefined
    this.#integrate(now)
    return {
      namespace,
      service,
      inFlight: Math.max(0, this.inFlight - this.held),
      held: this.held,
      arrivals: this.arrivals,
      inFlightSeconds: this.#integralMs / 1000,
      revisions: [...this.#revisions].map(([name, counts]) => counts.report(name)),
    }
  }

  #integrate(now: number): void {
    this.#integralMs += this.inFlight * Math.max(0, now - this.#since)
    this.#since = now
  }
}
