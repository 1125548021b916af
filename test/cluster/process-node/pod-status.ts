import type { Condition, ContainerStatus, Pod, PodPhase, PodStatus } from './kube-types.ts'

export interface PodView {
  readonly pod: Pod
  /** In the order of the spec; sidecars among them. */
  readonly init: readonly ContainerStatus[]
  readonly sidecars: ReadonlySet<string>
  readonly app: readonly ContainerStatus[]
  readonly podIp: string | undefined
  readonly hostIp: string
  readonly startTime: string
  /** No container runs or will run again. */
  readonly ended: boolean
  /** Why the node itself failed the pod, as `DeadlineExceeded`. */
  readonly failure?: { readonly reason: string; readonly message: string } | undefined
  /** The conditions that were reported last. */
  readonly before: readonly Condition[]
  readonly now: string
}

/** Computes a pod's status as a kubelet does. */
export function computePodStatus(view: PodView): PodStatus {
  const phase = phaseOf(view)
  return {
    phase,
    ...view.failure,
    startTime: view.startTime,
    hostIP: view.hostIp,
    ...(view.podIp === undefined ? {} : { podIP: view.podIp, podIPs: [{ ip: view.podIp }] }),
    conditions: conditionsOf(view, phase),
    ...(view.init.length > 0 ? { initContainerStatuses: view.init } : {}),
    containerStatuses: view.app,
  }
}

function phaseOf(view: PodView): PodPhase {
  const { app, init, sidecars, ended, failure } = view
  if (ended) {
    const finished = [...init.filter(({ name }) => !sidecars.has(name)), ...app]
    return !failure && finished.every(({ state }) => state.terminated?.exitCode === 0) ? 'Succeeded' : 'Failed'
  }
  if (!isInitialized(view)) return 'Pending'
  return app.every(({ state, lastState }) => !state.waiting || lastState.terminated) ? 'Running' : 'Pending'
}

function isInitialized({ init, sidecars, app }: PodView): boolean {
  // Init containers run again after a restart of the node, but not below a running app.
  if (app.some(({ state }) => state.running)) return true
  return init.every(({ name, started, state }) => (sidecars.has(name) ? started : state.terminated?.exitCode === 0))
}

function conditionsOf(view: PodView, phase: PodPhase): Condition[] {
  const over = phase === 'Succeeded' || phase === 'Failed'
  const reason = phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed'
  const initialized = isInitialized(view)
  const needed = [...view.init.filter(({ name }) => view.sidecars.has(name)), ...view.app]
  const unready = needed.filter(({ ready }) => !ready).map(({ name }) => name)
  const containersReady = initialized && !over && unready.length === 0
  const gates = (view.pod.spec.readinessGates ?? []).filter(
    ({ conditionType }) => view.pod.status?.conditions?.find(({ type }) => type === conditionType)?.status !== 'True',
  )
  const notReady = over
    ? { reason }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
  const notAdmitted = { reason: 'ReadinessGatesNotReady', message: 'a readiness gate is not True' }
  const wanted: [string, boolean, { reason: string; message?: string }][] = [
    ['PodReadyToStartContainers', view.podIp !== undefined && !view.ended, { reason: 'NoSandbox' }],
    ['Initialized', initialized || phase === 'Succeeded', { reason: 'ContainersNotInitialized' }],
    ['ContainersReady', containersReady, notReady],
    ['Ready', containersReady && gates.length === 0, containersReady ? notAdmitted : notReady],
    ['PodScheduled', true, { reason: '' }],
  ]
  return wanted.map(([type, holds, why]) => transition(view, type, holds, why))
}

function transition(view: PodView, type: string, holds: boolean, why: { reason: string; message?: string }): Condition {
  const status = holds ? 'True' : 'False'
  const before = view.before.find((condition) => condition.type === type)
  const generation = view.pod.metadata.generation
  return {
    type,
    status,
    ...(holds ? {} : why),
    lastTransitionTime: (before?.status === status && before.lastTransitionTime) || view.now,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  }
}
