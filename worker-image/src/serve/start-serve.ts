import { setTimeout as delay } from 'node:timers/promises'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { startProbes } from '@hansa/operator/process/probes.ts'
import { startTracing, type Tracing } from '@hansa/operator/process/tracing.ts'
import type { Registry } from 'prom-client'
import { decideBatching } from './batch/decide-batching.ts'
import type { Embedder } from './embed/embedder.ts'
import { loadEmbedder } from './embed/load-embedder.ts'
import { startGrpcServer } from './grpc/server.ts'
import { type LeaseWatch, watchLease } from './lease.ts'
import { createServeMetrics, watchLeaseLeft } from './metrics.ts'
import { checkModelFiles } from './model-files.ts'
import { createCodec } from './rest/codec.ts'
import { createCodecThreads } from './rest/codec-threads.ts'
import { createBudget } from './rest/read-body.ts'
import { startRestServer } from './rest/server.ts'
import { createScheduler } from './scheduler.ts'
import { memoryOfContainer } from './session/container-memory.ts'
import { residentBytes } from './session/resident-bytes.ts'
import { createSessionPool, type SessionPool } from './session/session-pool.ts'
import { startSessionProcess } from './session/session-process.ts'
import type { ServeProcessSettings } from './settings.ts'
import { writeTerminationMessage } from './termination-message.ts'
import { traceInferences } from './trace-inference.ts'
import { untilAborted } from './until-aborted.ts'
import type { LoadedModel, Worker } from './worker.ts'

/** A run may outlast the request that asked for it by this before its session process is killed. */
const overrunSeconds = 5
const deadAfterFailedStarts = 5
const shuttingDown = 'the worker is shutting down'

export type ServeDeps = {
  log: Logger
  registry: Registry
  /** Needed unless the settings say plain HTTP on loopback. */
  identity: Identity | undefined
  /** Aborts when the process is told to stop before the model is loaded. */
  signal: AbortSignal
  random?: () => number
  clock?: Clock
}

export type Serve = {
  readonly url: string
  /** `host:port` of the gRPC listener. */
  readonly grpcAddress: string
  readonly probesUrl: string
  /** Process ids of the sessions, for tests and the log. */
  sessionPids(): readonly number[]
  /** Resolves when all sessions are up; the worker is ready with the first. */
  readonly allSessions: Promise<void>
  /** Resolves when a guest's lease is over and the worker has drained for it; the process should exit. */
  readonly leaseEnded: Promise<void>
  /** Drains as a shutdown does: not ready at once, lame duck, then refusing, then waiting for what runs. */
  close(): Promise<void>
}

/**
 * Serves one model: listens at once, checks the files, loads the model in its session processes, and resolves when it is ready.
 * When the model cannot be served it writes the termination message and rejects with a HansaError; the process should exit 1.
 */
export async function startServe(settings: ServeProcessSettings, deps: ServeDeps): Promise<Serve> {
  const { log, registry, identity, clock = systemClock } = deps
  const { serve } = settings
  const { limits, timeouts } = serve
  const metrics = createServeMetrics(registry, { model: serve.modelName, version: serve.modelVersion })
  const threads = createCodecThreads(settings.codecThreads)
  let pool: SessionPool | undefined
  const slots = () => pool?.slots ?? []
  let allSessions = Promise.resolve()
  let loaded: LoadedModel | undefined
  let embedder: Embedder | undefined
  let phase: 'serving' | 'draining' | 'closing' = 'serving'

  const tracing = await tracingOf(settings, deps)
  const untraced = createScheduler({
    slots,
    queueDepth: limits.queueDepth,
    metrics: {
      queued: (micros) => metrics.queueMicros.inc(micros),
      executed: (rows) => {
        metrics.executions.inc()
        metrics.batchRows.observe(rows)
      },
    },
    onNotByRows: (problem) => {
      metrics.batching.set(0)
      log.error({ problem }, 'requests were joined that must not be; batching is off from now on')
      if (loaded !== undefined) loaded = { ...loaded, batching: { on: false, reason: problem } }
    },
  })
  const scheduler = tracing === undefined ? untraced : traceInferences(untraced, tracing, serve.modelName)
  const lease = settings.leaseFile === undefined ? undefined : watchLease(settings.leaseFile, { clock, log })
  if (lease !== undefined) watchLeaseLeft(registry, () => lease.left() / 1000)
  const stopLoading = lease === undefined ? deps.signal : AbortSignal.any([deps.signal, lease.ended])
  const sessionsUp = () => slots().some((slot) => slot.state === 'idle' || slot.state === 'busy')
  const unavailable = () => {
    if (phase === 'closing') return shuttingDown
    if (lease !== undefined && lease.left() === 0) return 'there is no lease'
    if (loaded === undefined) return 'the model is being loaded'
    return sessionsUp() ? undefined : 'the session process is being restarted'
  }
  const notReady = () => (phase === 'serving' ? unavailable() : shuttingDown)
  const worker: Worker = {
    model: { name: serve.modelName, version: serve.modelVersion },
    limits: { ...limits, requestSeconds: timeouts.requestSeconds },
    metrics,
    scheduler,
    get loaded() {
      return loaded
    },
    notReady,
    unavailable,
    get closing() {
      return phase === 'closing'
    },
    get draining() {
      return phase !== 'serving'
    },
  }
  const tls = tlsOf(settings, identity)
  const budget = createBudget(settings.bufferBytes)
  const rest = await startRestServer(
    { host: settings.host, port: settings.port, maxConnections: 2 * limits.queueDepth + 256 },
    { worker, budget, log, tls },
  )
  const grpc = await startGrpcServer({ host: settings.host, port: settings.grpcPort }, { worker, budget, log, tls })
  const loading = Promise.withResolvers<void>()
  const probes = await startProbes({
    host: settings.host,
    port: settings.probesPort,
    registry,
    ready: notReady,
    starting: () => (phase === 'serving' && loaded === undefined ? loading.promise : undefined),
    live: () => {
      const dead = slots().length > 0 && slots().every((slot) => slot.failedStarts >= deadAfterFailedStarts)
      return dead ? 'the model cannot be loaded any more' : undefined
    },
  })
  const sampling = setInterval(() => {
    metrics.pending.set(scheduler.waiting)
    metrics.bufferedBytes.set(budget.heldBytes)
  }, 250).unref()

  async function load(): Promise<void> {
    if (lease !== undefined) await untilAborted(lease.begun, stopLoading)
    const started = performance.now()
    const modelPath = await checkModelFiles(settings.model, settings.modelDir, serve.entrypoint, stopLoading)
    const { type, onUnavailable } = serve.executionProvider
    const wish = {
      wanted: settings.sessions,
      provider: type,
      cpus: settings.cpus,
      availableCpus: settings.availableCpus,
    }
    pool = createSessionPool(
      {
        command: { modelPath, provider: type, onUnavailable, maxResponseBytes: limits.responseBytes },
        env: settings.sessionEnv,
        loadSeconds: timeouts.loadSeconds,
        runSeconds: timeouts.requestSeconds + overrunSeconds,
        wish,
        bufferBytes: settings.bufferBytes,
      },
      {
        start: (options) => startSessionProcess(options, { log }),
        log,
        random: deps.random ?? Math.random,
        onChange: () => scheduler.dispatch(),
        onRestart: () => metrics.restarts.inc(),
        memory: memoryOfContainer,
        residentBytes,
      },
    )
    const first = await untilAborted(pool.loadFirst(), stopLoading)
    const signature = { inputs: first.inputs, outputs: first.outputs }
    const maxElements = limits.requestBytes
    embedder = await loadEmbedder(settings, signature, {
      submit: scheduler.submit,
      registry,
      signal: stopLoading,
    })
    const [slot] = pool.slots
    if (slot === undefined) throw new HansaError('InvalidSettings', 'there is no session')
    const { state, batching } = await untilAborted(decideBatching(serve, signature, slot.run), stopLoading)
    const { sessions, intraOpThreads, complete } = await untilAborted(pool.settle(), stopLoading)
    allSessions = complete
    loaded = {
      signature,
      provider: first.provider,
      codec: createCodec({ signature, maxElements, threads }),
      embedder,
      batching: state,
    }
    scheduler.batch(batching)
    metrics.batching.set(state?.on ? 1 : 0)
    if (state?.on === false) log.warn({ reason: state.reason }, 'batching is off')
    metrics.usesProvider(first.provider)
    if (first.providerProblem !== undefined) {
      log.warn(
        { wanted: type, used: first.provider, problem: first.providerProblem },
        'execution provider is not available',
      )
    }
    if (first.warmUpProblem !== undefined) {
      log.warn({ problem: first.warmUpProblem }, 'the model rejected the warm-up input of zeros')
    }
    const seconds = (performance.now() - started) / 1000
    log.info(
      { provider: first.provider, sessions, intraOpThreads, batching: state?.on ?? false, seconds },
      'model loaded',
    )
  }

  async function stop(): Promise<void> {
    clearInterval(sampling)
    lease?.stop()
    await rest.close()
    await grpc.close()
    await pool?.stop()
    await threads.close()
    await embedder?.close()
    await tracing?.close()
    await probes.close()
  }

  try {
    await load().finally(loading.resolve)
  } catch (error) {
    log.error({ error: messageOf(error) }, 'the model cannot be served')
    await stop()
    if (!deps.signal.aborted) await writeTerminationMessage(settings.terminationLog, error, log)
    throw error
  }

  let closed: Promise<void> | undefined
  async function drain(lameDuckSeconds: number): Promise<void> {
    phase = 'draining'
    log.info({ lameDuckSeconds, active: rest.active + grpc.active }, 'draining')
    // The end of a lease comes in the middle of it, too.
    await delay(lameDuckSeconds * 1000, undefined, { signal: lease?.ended }).catch(() => undefined)
    phase = 'closing'
    rest.endIdle()
    grpc.goAway()
    const drained = AbortSignal.timeout(timeouts.drainSeconds * 1000)
    await Promise.all([rest.settled(drained), grpc.settled(drained)])
    const active = rest.active + grpc.active
    if (active > 0) log.warn({ active }, 'requests were still running at the end of the drain time')
    await stop()
  }

  const close = (lameDuckSeconds = settings.lameDuckSeconds) => {
    closed ??= drain(lameDuckSeconds)
    return closed
  }

  return {
    leaseEnded: ended(lease).then(() => close(0)),
    url: rest.url,
    grpcAddress: grpc.address,
    probesUrl: probes.url,
    allSessions,
    sessionPids: () => slots().flatMap((slot) => slot.pid ?? []),
    close: () => close(),
  }
}

/** Resolves at the end of the lease; never without one. */
function ended(lease: LeaseWatch | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (lease?.ended.aborted) resolve()
    else lease?.ended.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function tracingOf(settings: ServeProcessSettings, { log, registry }: ServeDeps): Promise<Tracing | undefined> {
  const { otlpEndpoint: endpoint, instance, model } = settings
  if (endpoint === undefined) return undefined
  return await startTracing(
    { endpoint, service: 'hansa-worker', instance, namespace: model.namespace },
    { log, registry },
  )
}

function tlsOf(settings: ServeProcessSettings, identity: Identity | undefined) {
  const { gatewayUri } = settings
  if (gatewayUri === undefined) return undefined
  if (identity === undefined) throw new HansaError('InvalidSettings', 'serving needs an identity', { retry: 'never' })
  return { identity, gatewayUri }
}
