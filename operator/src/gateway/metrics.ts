import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { IssuerKeys } from './auth/issuer-keys.ts'
import { keyFailures, keyLimits } from './auth/key-limited.ts'
import type { RevisionCounts } from './demand/revision-counts.ts'
import type { HoldOutcome } from './forward/exchange.ts'
import { codeName } from './grpc/code.ts'
import type { Finished } from './handle-request.ts'
import type { MirrorOutcome } from './mirror/mirror.ts'
import type { Route } from './route/route.ts'
import { routeKey } from './route/route-spec.ts'
import type { RouteTable } from './route/route-table.ts'
import type { AttemptResult } from './route/upstream.ts'

export type GatewayMetrics = {
  finished(finished: Finished, seconds: number): void
  held(route: Route, outcome: HoldOutcome, heldMs: number | undefined): void
  canary(route: Route, what: 'failed' | 'slow'): void
  mirrored(route: Route, outcome: MirrorOutcome): void
  upstreamError(route: Route, reason: AttemptResult, retried: boolean): void
  tlsError(): void
  /** A request came over a ModelStreamInfer stream. */
  streamMessage(route: Route): void
  /** Tells where the gauges of gRPC read; once. */
  watchCalls(calls: { connections: () => number; streams: () => number }): void
  /** Drops the series of a service that is gone. */
  forget(namespace: string, service: string): void
}

const holdOutcomes: readonly HoldOutcome[] = ['released', 'full', 'waited', 'closed', 'draining', 'left']
const reasons: readonly AttemptResult[] = [
  'serverError',
  'unreachable',
  'broken',
  'draining',
  'refused',
  'answered',
  'undecided',
]

/** Registers the gateway's metrics. Only names of services that exist become labels; everything else is "unknown". */
export function createMetrics(deps: {
  registry: Registry
  routes: RouteTable
  issuers: readonly IssuerKeys[]
  routesAgeSeconds: () => number | undefined
}): GatewayMetrics {
  const { registry, routes, issuers } = deps
  const registers = [registry]
  const service = ['namespace', 'service'] as const
  const requests = new Counter({
    name: 'hansa_gateway_requests_total',
    help: 'Requests by service and status code; 499 when the user left.',
    labelNames: [...service, 'code'],
    registers,
  })
  const owners = new Counter({
    name: 'hansa_gateway_owner_requests_total',
    help: 'Requests by service and by whose workers were asked last: own, or the name of a Peer.',
    labelNames: [...service, 'owner'],
    registers,
  })
  const duration = new Histogram({
    name: 'hansa_gateway_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: [...service],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const upstreamErrors = new Counter({
    name: 'hansa_gateway_upstream_errors_total',
    help: 'Attempts with a worker that failed.',
    labelNames: [...service, 'reason'],
    registers,
  })
  const retries = new Counter({
    name: 'hansa_gateway_retries_total',
    help: 'Requests that were given to another worker.',
    labelNames: [...service],
    registers,
  })
  const tlsErrors = new Counter({
    name: 'hansa_gateway_tls_errors_total',
    help: 'Handshakes of users that failed.',
    registers,
  })
  const canaryRepeats = new Counter({
    name: 'hansa_gateway_canary_repeats_total',
    help: 'Requests that the old revision was asked to answer because the one being tried failed or was slow.',
    labelNames: [...service, 'reason'],
    registers,
  })
  const mirrorSkipped = new Counter({
    name: 'hansa_gateway_mirror_skipped_total',
    help: 'Mirrored requests that could not be compared.',
    labelNames: [...service],
    registers,
  })
  // Read from what the operator is told, and gone with the revision.
  const perRevision = (name: string, help: string, read: (counts: RevisionCounts) => number) =>
    new Counter({
      name,
      help,
      labelNames: [...service, 'revision'],
      registers,
      collect() {
        this.reset()
        for (const { spec, demand } of routes.list()) {
          for (const [revision, counts] of demand.revisions) {
            this.inc({ namespace: spec.namespace, service: spec.service, revision }, read(counts))
          }
        }
      },
    })
  perRevision(
    'hansa_gateway_revision_requests_total',
    'Inference requests that workers of a revision answered or failed.',
    ({ requests }) => requests,
  )
  perRevision(
    'hansa_gateway_revision_failures_total',
    'Of those, the ones that failed at the worker.',
    ({ failures }) => failures,
  )
  perRevision(
    'hansa_gateway_mirrored_total',
    'Mirrored requests whose answers were compared.',
    ({ mirrored }) => mirrored,
  )
  perRevision(
    'hansa_gateway_mirror_disagreed_total',
    'Of those, the ones that disagreed or that only the mirror failed.',
    ({ disagreed }) => disagreed,
  )
  const holds = new Counter({
    name: 'hansa_gateway_holds_total',
    help: 'Waits for a service to wake, by how they ended.',
    labelNames: [...service, 'outcome'],
    registers,
  })
  const heldSeconds = new Histogram({
    name: 'hansa_gateway_held_seconds',
    help: 'How long requests waited for a service to wake.',
    labelNames: [...service],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    registers,
  })
  new Gauge({
    name: 'hansa_gateway_held',
    help: 'Requests that wait for a service to wake.',
    labelNames: [...service],
    registers,
    collect() {
      this.reset()
      for (const { spec, demand } of routes.list()) {
        if (spec.mayWake) this.set({ namespace: spec.namespace, service: spec.service }, demand.held)
      }
    },
  })
  const keyRequests = new Counter({
    name: 'hansa_gateway_access_key_requests_total',
    help: 'Requests with an AccessKey, by the limit of the key that refused them; "none" for those let in.',
    labelNames: ['namespace', 'access_key', 'limit'],
    registers,
  })
  const grpcCalls = new Counter({
    name: 'hansa_gateway_grpc_calls_total',
    help: 'gRPC calls by service, method and status code.',
    labelNames: [...service, 'method', 'code'],
    registers,
  })
  const streamMessages = new Counter({
    name: 'hansa_gateway_grpc_stream_requests_total',
    help: 'Requests that came over ModelStreamInfer streams.',
    labelNames: [...service],
    registers,
  })
  let grpc: { connections: () => number; streams: () => number } | undefined
  new Gauge({
    name: 'hansa_gateway_grpc_connections',
    help: 'Connections of users of gRPC.',
    registers,
    collect() {
      this.set(grpc?.connections() ?? 0)
    },
  })
  new Gauge({
    name: 'hansa_gateway_grpc_streams',
    help: 'ModelStreamInfer streams that are open, idle ones included.',
    registers,
    collect() {
      this.set(grpc?.streams() ?? 0)
    },
  })
  new Gauge({
    name: 'hansa_gateway_in_flight',
    help: 'Requests that are being forwarded.',
    labelNames: [...service],
    registers,
    collect() {
      this.reset()
      for (const { spec, inFlight } of routes.list()) {
        this.set({ namespace: spec.namespace, service: spec.service }, inFlight)
      }
    },
  })
  new Gauge({
    name: 'hansa_gateway_ready_workers',
    help: 'Workers that requests can go to, ejected ones not counted.',
    labelNames: [...service],
    registers,
    collect() {
      this.reset()
      for (const { spec, workers } of routes.list()) {
        const ready = workers.filter((worker) => !worker.isEjected()).length
        this.set({ namespace: spec.namespace, service: spec.service }, ready)
      }
    },
  })
  new Gauge({
    name: 'hansa_gateway_jwks_age_seconds',
    help: 'Age of the keys of a token issuer.',
    labelNames: ['issuer'],
    registers,
    collect() {
      for (const issuer of issuers) {
        const age = issuer.ageSeconds()
        if (age !== undefined) this.set({ issuer: issuer.name }, age)
      }
    },
  })
  new Gauge({
    name: 'hansa_gateway_routes_age_seconds',
    help: 'Time since the API server last said anything about routes; a quiet one speaks once a minute.',
    registers,
    collect() {
      const age = deps.routesAgeSeconds()
      if (age !== undefined) this.set(age)
    },
  })

  const labelsOf = (route: Route | undefined) =>
    route === undefined
      ? { namespace: 'unknown', service: 'unknown' }
      : { namespace: route.spec.namespace, service: route.spec.service }

  const codes = new Map<string, Set<number>>()
  const askedOwners = new Map<string, Set<string>>()
  const calls = new Map<string, Map<string, { method: string; code: string }>>()

  return {
    finished({ route, target, result, grpc, key: accessKey }, seconds) {
      if (accessKey !== undefined) {
        const limit = keyLimits.find((each) => keyFailures[each] === result.failure) ?? 'none'
        keyRequests.inc({ namespace: accessKey.namespace, access_key: accessKey.name, limit })
      }
      const known = route ?? (target === undefined ? undefined : routes.get(target.namespace, target.service))
      const labels = labelsOf(known)
      requests.inc({ ...labels, code: result.status })
      const key = routeKey(labels.namespace, labels.service)
      if (result.owner !== undefined) {
        owners.inc({ ...labels, owner: result.owner })
        const asked = askedOwners.get(key)
        if (asked === undefined) askedOwners.set(key, new Set([result.owner]))
        else asked.add(result.owner)
      }
      const seen = codes.get(key)
      if (seen === undefined) codes.set(key, new Set([result.status]))
      else seen.add(result.status)
      // A stream lasts as long as its user likes.
      if (grpc?.method !== 'ModelStreamInfer') duration.observe(labels, seconds)
      if (grpc === undefined) return
      const call = { method: grpc.method, code: codeName(grpc.code) }
      grpcCalls.inc({ ...labels, ...call })
      const made = calls.get(key)
      if (made === undefined) calls.set(key, new Map([[`${call.method} ${call.code}`, call]]))
      else made.set(`${call.method} ${call.code}`, call)
    },
    upstreamError(route, reason, retried) {
      upstreamErrors.inc({ ...labelsOf(route), reason })
      if (retried) retries.inc(labelsOf(route))
    },
    held(route, outcome, heldMs) {
      const labels = labelsOf(route)
      holds.inc({ ...labels, outcome })
      if (heldMs !== undefined) heldSeconds.observe(labels, heldMs / 1000)
    },
    streamMessage: (route) => streamMessages.inc(labelsOf(route)),
    watchCalls: (watched) => {
      grpc = watched
    },
    canary: (route, what) => canaryRepeats.inc({ ...labelsOf(route), reason: what }),
    mirrored(route, outcome) {
      if (outcome === 'skipped') mirrorSkipped.inc(labelsOf(route))
    },
    tlsError: () => tlsErrors.inc(),
    forget(namespace, service) {
      const labels = { namespace, service }
      const key = routeKey(namespace, service)
      for (const code of codes.get(key) ?? []) requests.remove({ ...labels, code })
      codes.delete(key)
      for (const owner of askedOwners.get(key) ?? []) owners.remove({ ...labels, owner })
      askedOwners.delete(key)
      for (const call of calls.get(key)?.values() ?? []) grpcCalls.remove({ ...labels, ...call })
      calls.delete(key)
      streamMessages.remove(labels)
      for (const reason of reasons) upstreamErrors.remove({ ...labels, reason })
      duration.remove(labels)
      heldSeconds.remove(labels)
      mirrorSkipped.remove(labels)
      for (const reason of ['failed', 'slow']) canaryRepeats.remove({ ...labels, reason })
      for (const outcome of holdOutcomes) holds.remove({ ...labels, outcome })
      retries.remove(labels)
    },
  }
}
