import { z } from 'zod'

/**
 * Upper bounds, in milliseconds, of the latency buckets that gateways count in: each a quarter larger than the one before, so that
 * a quantile read from them is at most 25% off. One more bucket follows for what is slower.
 */
export const latencyBoundsMs: readonly number[] = Array.from({ length: 50 }, (_, i) => 1.25 ** i)

const count = z.int().min(0)

const revisionReportSchema = z.object({
  revision: z.string().min(1).max(63),
  /** Requests that a worker of this revision answered, or failed to; mirrored ones not counted. */
  requests: count,
  /** Of those, the ones that failed: 5xx answers but 503 of a draining worker and 504, and broken connections. */
  failures: count,
  /** How many of the answered requests took how long at the worker; one more than `latencyBoundsMs`. */
  latencyCounts: z.array(count).length(latencyBoundsMs.length + 1),
  /** Mirrored requests whose two answers were compared. */
  mirrored: count,
  /** Of those, the ones that differ or that only the mirror failed. */
  disagreed: count,
})

const serviceReportSchema = z.object({
  namespace: z.string().min(1).max(63),
  service: z.string().min(1).max(253),
  /** Requests at workers now. */
  inFlight: count,
  /** Requests that wait for the service to wake, now. */
  held: count,
  /** Requests let in since the gateway started. */
  arrivals: count,
  /** Integral over time of `inFlight + held`, since the gateway started. */
  inFlightSeconds: z.number().min(0),
  revisions: z.array(revisionReportSchema).max(16),
})

/**
 * What a gateway tells the operator, one JSON line each: at once, then every second, and at once when a request begins to wait for
 * a service that has no worker. All counts only grow while `instance` stays the same. Services without a request since the
 * gateway started are left out.
 */
export const demandReportSchema = z.object({
  /** Random for each start of a gateway. */
  instance: z.string().min(1).max(64),
  /** Monotonic seconds since the gateway started. */
  elapsedSeconds: z.number().min(0),
  services: z.array(serviceReportSchema).max(10_000),
})

export type RevisionReport = z.infer<typeof revisionReportSchema>
export type ServiceReport = z.infer<typeof serviceReportSchema>
export type DemandReport = z.infer<typeof demandReportSchema>
