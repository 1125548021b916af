import type { Registry } from 'prom-client'
import { identityConnector } from '../identity/connector.ts'
import type { Identity } from '../identity/identity.ts'
import { parseSpiffe } from '../identity/spiffe.ts'
import { clientTls, spiffe } from '../identity/tls.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, sleep, systemClock } from '../kube/clock.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { startProbes } from '../process/probes.ts'
import type { Tracing } from '../process/tracing.ts'
import { createAccessLog } from './access-log.ts'
import { Capacity } from './admission.ts'
import { KeyTable } from './auth/access-key.ts'
import { Authenticator } from './auth/authenticator.ts'
import { followKeys } from './auth/follow-keys.ts'
import { IssuerKeys } from './auth/issuer-keys.ts'
import { clusterKeySource, oidcKeySource } from './auth/key-source.ts'
import type { DataPath } from './data/start-data-path.ts'
import { serveDemand } from './demand/serve-demand.ts'
import { startCallServer } from './grpc/call-server.ts'
import { createCallHandler } from './grpc/handle-call.ts'
import { WorkerSessions } from './grpc/worker-sessions.ts'
import { createRequestHandler, type Finished } from './handle-request.ts'
import { ByteBudget } from './hold/byte-budget.ts'
import { certificateFromFiles, certificateOfIdentity } from './http/server-certificate.ts'
import { createRandomHex } from './http/trace-context.ts'
import { startUserServer } from './http/user-server.ts'
import { createMetrics } from './metrics.ts'
import { createComparer } from './mirror/comparer.ts'
import { Mirror } from './mirror/mirror.ts'
import type { ReceiptBook } from './receipts/receipt-book.ts'
import { followRoutes, type RouteSource } from './route/follow-routes.ts'
import { RouteTable } from './route/route-table.ts'
import { SavedRoutes } from './route/saved-routes.ts'
import type { ServingSettings } from './settings.ts'
import { createRequestTracer } from './trace-requests.ts'
import { createWorkServer } from './work/serve-work.ts'
import { WorkUse } from './work/work-use.ts'

// Small bodies of requests that wait for a service to wake; large ones stay on their sockets.
const heldBytes = 64 * 1024 * 1024
// Requests and answers that are kept whole while a revision is being tried.
const trialBytes = 64 * 1024 * 1024
const refusalsMs = 250

export type GatewayDeps = {
  /** The gateway's own certificate; with DNS names where no certificate files are set. */
  identity: Identity
  /** The API server, as the gateway's service account. */
  client: KubeClient
  log: Logger
  /** For the line a request; `log` when left out. */
  accessLog?: Logger
  registry: Registry
  clock?: Clock
  random?: () => number
  /** What there is between this gateway and those of peers; undefined where no owners are joined. */
  dataPath?: DataPath | undefined
  /** Where it is written what owners did for each other; without it nothing of it can be proven later. */
  book?: ReceiptBook | undefined
  /** Where spans go; without it nothing is traced. */
  tracing?: Tracing | undefined
}

export type Gateway = {
  /** Base URL for users; a service is at `<url>/<namespace>/<service>`. */
  url: string
  /** Where users' gRPC goes. */
  grpcUrl: string
  /** Where the operator reads the demand report. */
  demandUrl: string
  probesUrl: string
  /** Unready, lame duck, no new connections, finish what is under way (at most `drainSeconds`), close. */
  close(): Promise<void>
}

/**
 * Serves users: TLS and tokens towards users, mutual TLS towards workers. Resolves once it listens; it is ready when routes
 * and the cluster's token keys are known, from the API server or from an earlier run.
 */
export async function serveGateway(settings: ServingSettings, deps: GatewayDeps): Promise<Gateway> {
  const { identity, client, log, registry, dataPath, book, clock = systemClock, random = Math.random } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const now = () => clock.monotonic()
  let hurryDemand = () => {}
  const routes = new RouteTable({
    hold: { clock, bytes: new ByteBudget(heldBytes), onWaiting: () => hurryDemand() },
    port: settings.workerPort,
    peers: dataPath === undefined ? undefined : { callerOf: dataPath.callerOf, isSilent: dataPath.isSilent, book },
    now,
    random,
    connectorFor: (namespace, service) =>
      identityConnector(identity, spiffe(settings.trustDomain, namespace, `${service}-worker`), {
        timeoutMilliseconds: 3000,
        highWaterMarkBytes: 131_072,
      }),
    sessionsFor: (namespace, service, address) =>
      new WorkerSessions(address, {
        tls: () => clientTls(identity, spiffe(settings.trustDomain, namespace, `${service}-worker`)),
        port: settings.workerGrpcPort,
        now,
      }),
    onRemoved: (namespace, service) => metrics.forget(namespace, service),
    onRetireError: (error) => log.debug({ error: messageOf(error) }, 'closing connections to a worker failed'),
  })
  const sources = [clusterKeySource(client, settings.tokenAudience), ...settings.oidcIssuers.map(oidcKeySource)]
  const issuers = sources.map(
    (source) =>
      new IssuerKeys({
        source,
        stateDir: settings.stateDir,
        maxStaleSeconds: settings.jwksMaxStaleSeconds,
        clock,
        log,
        random,
      }),
  )
  await Promise.all(issuers.map((issuer) => issuer.restore()))
  const refreshing = issuers.map((issuer) => issuer.keepFresh(signal))
  let source: RouteSource | undefined
  const metrics = createMetrics({ registry, routes, issuers, routesAgeSeconds: () => source?.ageSeconds() })
  const saved = new SavedRoutes({ stateDir: settings.stateDir, clock, log })
  const following = await followRoutes(
    { client, table: routes, saved, clock, log, random, registry, works: dataPath?.works },
    signal,
  )
  source = following
  const keys = new KeyTable()
  const followingKeys = await followKeys(
    { client, table: keys, stateDir: settings.stateDir, clock, log, random, registry },
    signal,
  )
  const certificate =
    settings.tlsFiles === undefined
      ? certificateOfIdentity(identity)
      : await certificateFromFiles({ ...settings.tlsFiles, clock, log, signal })

  const accessLog = createAccessLog({ log: deps.accessLog ?? log, sample: settings.accessLogSample, random })
  const capacity = new Capacity(settings.maxInFlight)
  const comparer = createComparer({ clock, log })
  const mirror = new Mirror({
    clock,
    random,
    compare: comparer.compare,
    onMirrored: (route, _revision, outcome) => metrics.mirrored(route, outcome),
  })
  let draining = false
  const notReady = () => {
    if (draining) return 'shutting down'
    if (following.from() === 'none') return 'routes are not known yet'
    if (issuers[0]?.current() === undefined) return "the keys of the cluster's token issuer are not known yet"
    return undefined
  }
  const randomHex = createRandomHex()
  const tracer =
    deps.tracing === undefined
      ? undefined
      : createRequestTracer({
          tracing: deps.tracing,
          sample: settings.traceSample ?? 0,
          random,
          randomHex,
          wallClock: () => clock.now(),
        })
  const handling = {
    authenticator: new Authenticator({ issuers, clock, keys }),
    routes,
    now,
    randomHex,
    ...(tracer !== undefined && { sampleNew: tracer.sampleNew, traceAttempt: tracer.attempt }),
    capacity,
    onUpstreamError: metrics.upstreamError,
    onHeld: metrics.held,
    onCanary: metrics.canary,
    mirror,
    trialBytes: new ByteBudget(trialBytes),
    onFinished: (finished: Finished) => {
      const durationMs = now() - finished.startedAt
      metrics.finished(finished, durationMs / 1000)
      accessLog(finished, durationMs)
      tracer?.finished(finished, durationMs)
    },
    signal,
  }
  const onRequest = createRequestHandler({ ...handling, isDraining: () => draining })
  const guests =
    dataPath === undefined
      ? undefined
      : createWorkServer({
          ...handling,
          guests: dataPath.guests,
          termsOf: dataPath.termsOf,
          use: new WorkUse(dataPath.limits.maxRequests, registry),
          book,
          stallSeconds: dataPath.limits.stallSeconds,
          exchange: handling,
          isDraining: () => draining,
          clock,
          log,
        })
  if (guests !== undefined) dataPath?.serveWork(guests.handle)
  const calls = createCallHandler({
    ...handling,
    isReady: () => notReady() === undefined,
    onStreamMessage: metrics.streamMessage,
  })
  const callServer = await startCallServer({
    host: settings.host,
    port: settings.grpcPort,
    certificate,
    maxConnections: settings.maxConnections,
    maxStreams: settings.maxStreams,
    idleSeconds: settings.idleSeconds,
    onCall: calls.handle,
    now,
    onTlsError: metrics.tlsError,
    log,
  })
  metrics.watchCalls({ connections: callServer.connections, streams: calls.openStreams })
  const server = await startUserServer({
    host: settings.host,
    port: settings.port,
    certificate,
    maxConnections: settings.maxConnections,
    headerSeconds: settings.headerSeconds,
    idleSeconds: settings.idleSeconds,
    onRequest,
    onTlsError: metrics.tlsError,
    log,
  })
  const own = parseSpiffe(identity.uri)
  if (own === undefined) throw new HansaError('InvalidName', `the gateway's identity ${identity.uri} has no namespace`)
  const demand = await serveDemand({
    host: settings.host,
    port: settings.internalPort,
    identity,
    operatorUri: spiffe(settings.trustDomain, own.namespace, 'hansa-operator'),
    routes: () => routes.list(),
    instance: createRandomHex()(16),
    clock,
    log,
  })
  hurryDemand = demand.hurry
  const probes = await startProbes({
    host: settings.host,
    port: settings.probesPort,
    registry,
    ready: notReady,
  })
  log.info({ url: server.url, grpc: callServer.url, probes: probes.url }, 'gateway listens')

  async function shutDown(): Promise<void> {
    draining = true
    await sleep(clock, settings.lameDuckSeconds * 1000, signal)
    const overdue = new AbortController()
    let cancel = clock.after(settings.drainSeconds * 1000, () => {
      // Whoever still waits for a worker gets an answer before connections are cut.
      routes.refuseHeld()
      cancel = clock.after(refusalsMs, () => overdue.abort())
    })
    calls.drain()
    await Promise.all([server.close(overdue.signal), callServer.close(overdue.signal), guests?.drained(overdue.signal)])
    cancel()
    await demand.close()
    stopping.abort()
    await Promise.allSettled([following.stop(), followingKeys.stop(), ...refreshing])
    mirror.close()
    await comparer.close()
    await routes.destroy()
    await probes.close()
  }
  let closing: Promise<void> | undefined
  return {
    url: server.url,
    grpcUrl: callServer.url,
    demandUrl: demand.url,
    probesUrl: probes.url,
    close: () => {
      closing ??= shutDown()
      return closing
    },
  }
}
