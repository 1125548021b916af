import { Gauge, type Registry } from 'prom-client'
import type { InferenceService } from '../api/inference-service.ts'
import type { Demand } from '../demand/demand.ts'
import { wantedReplicas } from '../inferenceservice/plan.ts'
import type { Deployment } from '../kube/builtin.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { Source } from '../kube/controller.ts'
import { keyOf, type Live, refOf } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { elsewhere, isDivided } from '../placement/managed.ts'
import { createRecommendations, type Recommendations } from './recommendations.ts'
import { askedWorkers, type Decision, type Load, type Scaling, wantedWorkers } from './wanted-workers.ts'

/** A count and what made it so; `from` is what it was. */
export type Wanted = Decision & { from: number }

/** Decides how many workers each service shall have, and says whose count is to change. */
export type Scaler = {
  /** The count for now, which from then on is the current one. Suspended services want none; mode External wants `spec.replicas`. */
  decide(service: InferenceService): Wanted
  /** Names the services whose count is to change: at once when one is woken, else every second. */
  readonly source: Source
}

export type ScalerDeps = {
  demand: Demand & { busy(): Set<string>; onReport(listener: () => void): () => void }
  services: Store<InferenceService, 'model'>
  deployments: Store<Deployment, 'service'>
  clock: Clock
  registry: Registry
}

type State = {
  uid: string
  current: number
  targetInFlight: number
  recommendations: Recommendations
  /** Since when a worker is ready; undefined while none is. */
  readySince: number | undefined
  /** When it was last seen to want no workers. */
  sleptAt: number
}

const graceSeconds = 2

/** Looks at every service each second until the signal is aborted. */
export function startScaler(deps: ScalerDeps, signal: AbortSignal): Scaler {
  const { demand, services, deployments, clock } = deps
  const states = new Map<string, State>()
  const listeners = new Set<(key: string) => void>()
  const seconds = () => clock.monotonic() / 1_000
  const keyFor = (service: InferenceService) => keyOf(refOf(service))

  function stateOf(service: InferenceService): State {
    const key = keyFor(service)
    const { uid = '' } = service.metadata
    const { minReplicas, targetInFlight } = service.spec.scaling
    const known = states.get(key)
    if (known?.uid === uid && known.targetInFlight === targetInFlight) return known
    const own = deployments.byIndex('service', key).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    const state: State = {
      uid,
      // What runs stays until more is known, also after a change of leader; what is new shall show that it comes up.
      current:
        known?.uid === uid
          ? known.current
          : own.length === 0
            ? Math.max(1, minReplicas)
            : Math.max(...own.map(({ spec }) => spec.replicas ?? 1), inAll(service)),
      targetInFlight,
      recommendations: createRecommendations(),
      readySince: undefined,
      sleptAt: seconds(),
    }
    states.set(key, state)
    return state
  }

  /** Brings what is remembered of a service up to date. */
  function observe(service: InferenceService, state: State): Load {
    const key = keyFor(service)
    const now = seconds()
    const { scaling } = service.spec
    const ready =
      deployments.byIndex('service', key).some(({ status }) => (status?.readyReplicas ?? 0) > 0) ||
      (isDivided(service.spec) && elsewhere(service).ready > 0)
    state.readySince = ready ? (state.readySince ?? now) : undefined
    const meanInFlight = demand.window(key, scaling.scaleUpWindowSeconds)?.meanInFlight ?? 0
    const { inFlight, held } = demand.now(key)
    if (demand.isComplete(0)) state.recommendations.add(askedWorkers(scaling, meanInFlight), now)
    else state.recommendations.reset()
    return {
      meanInFlight,
      pending: inFlight + held + (state.current === 0 && wasRefused(key, scaling, state, now) ? 1 : 0),
      peak: demand.isComplete(scaling.scaleDownWindowSeconds)
        ? state.recommendations.peak(scaling.scaleDownWindowSeconds, now)
        : undefined,
      quietSeconds:
        state.readySince !== undefined && demand.isComplete(scaling.idleSeconds)
          ? Math.min(demand.quietSeconds(key), now - state.readySince)
          : undefined,
    }
  }

  /** Whether a request came after the last worker went and was not held: where nothing is held such a one must wake. */
  function wasRefused(key: string, { holdSeconds }: Scaling, { sleptAt }: State, now: number): boolean {
    // A request that a worker on its way out still answered is in a report of the next second.
    return holdSeconds === 0 && demand.quietSeconds(key) < now - sleptAt - graceSeconds
  }

  function look(service: Live<InferenceService>): void {
    if (!scales(service)) return
    const state = stateOf(service)
    const { replicas } = wantedWorkers(service.spec.scaling, state.current, observe(service, state))
    if (replicas === state.current) return
    for (const listener of listeners) listener(keyFor(service))
  }

  async function tick(): Promise<void> {
    while (!signal.aborted) {
      await sleep(clock, 1_000, signal)
      if (!services.isSynced() || !deployments.isSynced()) continue
      for (const service of services.list()) look(service)
    }
  }

  const unsubscribeReports = demand.onReport(() => {
    for (const key of demand.busy()) {
      if (states.get(key)?.current === 0) for (const listener of listeners) listener(key)
    }
  })
  const unsubscribeServices = services.subscribe(({ key, current }) => {
    if (current === undefined) states.delete(key)
  })
  signal.addEventListener(
    'abort',
    () => {
      unsubscribeReports()
      unsubscribeServices()
    },
    { once: true },
  )
  measureCounts(deps.registry, signal, states)
  void tick()

  return {
    decide(service) {
      if (!scales(service)) {
        states.delete(keyFor(service))
        const wanted = wantedReplicas(service)
        return { replicas: wanted, reason: 'Unchanged', from: wanted }
      }
      const state = stateOf(service)
      const decision = wantedWorkers(service.spec.scaling, state.current, observe(service, state))
      const from = state.current
      state.current = decision.replicas
      if (decision.reason === 'ScaledToZero') state.sleptAt = seconds()
      return { ...decision, from }
    },
    source: {
      synced: Promise.resolve(),
      subscribe(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
  }
}

/** Workers that were wanted last, those at peers too. */
function inAll({ spec, status }: InferenceService): number {
  return isDivided(spec) ? (status?.desiredReplicas ?? 0) : 0
}

function scales({ metadata, spec }: InferenceService): boolean {
  return metadata.deletionTimestamp === undefined && !spec.suspend && spec.scaling.mode === 'Hansa'
}

/** Registers how many workers services shall have, for as long as the signal lasts. */
export function measureCounts(registry: Registry, signal: AbortSignal, states: ReadonlyMap<string, State>): void {
  const name = 'hansa_operator_wanted_replicas'
  registry.registerMetric(
    new Gauge({
      name,
      help: 'Workers that an InferenceService in scaling mode Hansa shall have.',
      labelNames: ['namespace', 'service'],
      registers: [],
      collect() {
        this.reset()
        for (const [key, { current }] of states) {
          const [namespace = '', service = ''] = key.split('/')
          this.set({ namespace, service }, current)
        }
      },
    }),
  )
  // Only the leader decides; what it knew must not stay when it leads no more.
  const remove = () => registry.removeSingleMetric(name)
  if (signal.aborted) remove()
  else signal.addEventListener('abort', remove, { once: true })
}
