import { type ActionContext, runAction } from './action.ts'
import type { ContainerSpec, Probe } from './kube-types.ts'
import { runProber } from './prober.ts'

export interface HealthOptions {
  readonly spec: ContainerSpec
  readonly podIp: string
  readonly exec: ActionContext['exec']
  readonly onChange: () => void
  readonly onUnhealthy: (message: string) => void
  /** The container must be killed; the grace period is the probe's own where it has one. */
  readonly onDead: (message: string, graceSeconds: number | undefined) => void
}

/** What the probes of one run of a container say. */
export interface Health {
  readonly started: boolean
  readonly ready: boolean
  /** Aborted when the run ends. */
  readonly ended: AbortSignal
  close(): void
}

/** Runs the post-start hook, then the startup probe, then the others, as a kubelet does. */
export function watchHealth(options: HealthOptions): Health {
  const { spec, podIp, exec, onChange, onUnhealthy, onDead } = options
  const { startupProbe, readinessProbe, livenessProbe } = spec
  const end = new AbortController()
  const context: ActionContext = { podIp, container: spec, exec }
  let started = false
  let ready = false

  function probe(kind: string, spec: Probe, onVerdict: (healthy: boolean) => void): void {
    void runProber({
      probe: spec,
      attempt: (signal) => runAction(spec, context, signal),
      onVerdict,
      onFailure: (problem) => onUnhealthy(`${kind} probe failed: ${problem}`),
      signal: end.signal,
    })
  }

  function start(): void {
    started = true
    ready = readinessProbe === undefined
    onChange()
    if (readinessProbe) {
      probe('Readiness', readinessProbe, (healthy) => {
        ready = healthy
        onChange()
      })
    }
    if (livenessProbe) {
      probe('Liveness', livenessProbe, (healthy) => {
        if (!healthy) onDead('failed liveness probe', livenessProbe.terminationGracePeriodSeconds)
      })
    }
  }

  function begin(): void {
    if (end.signal.aborted) return
    if (startupProbe) beginWith(startupProbe)
    else start()
  }

  function beginWith(startupProbe: Probe): void {
    const startup = new AbortController()
    void runProber({
      probe: startupProbe,
      attempt: (signal) => runAction(startupProbe, context, signal),
      onVerdict: (healthy) => {
        startup.abort()
        if (healthy) start()
        else onDead('failed startup probe', startupProbe.terminationGracePeriodSeconds)
      },
      onFailure: (problem) => onUnhealthy(`Startup probe failed: ${problem}`),
      signal: AbortSignal.any([end.signal, startup.signal]),
    })
  }

  const { postStart } = spec.lifecycle ?? {}
  if (!postStart) begin()
  else {
    void runAction(postStart, context, end.signal).then((problem) => {
      if (problem === undefined) begin()
      else if (!end.signal.aborted) onDead(`failed its PostStartHook: ${problem}`, undefined)
    })
  }

  return {
    get started() {
      return started
    },
    get ready() {
      return ready
    },
    ended: end.signal,
    close: () => end.abort(),
  }
}
