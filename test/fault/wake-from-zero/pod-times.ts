import { pods } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import { createLogger } from '@hansa/operator/process/log.ts'

export const steps = ['created', 'scheduled', 'pulled', 'started', 'ready'] as const
export type Step = (typeof steps)[number]

/** The worker pods of every service, and when each step of the newest one of a service was seen. */
export type PodTimes = {
  readonly synced: Promise<void>
  count(service: string): number
  /** Forgets the times of a service, to measure its next wake-up. */
  clear(service: string): void
  /** By performance.now(). */
  times(service: string): ReadonlyMap<Step, number>
  stop(): Promise<void>
}

const label = 'hansa.dev/inference-service'

export function watchPodTimes(client: KubeClient, namespace: string, signal: AbortSignal): PodTimes {
  const seen = new Map<string, Map<Step, number>>()
  const reflector = startReflector(
    { client, log: createLogger('pods', 'silent') },
    {
      resource: pods,
      namespace,
      labelSelector: 'app.kubernetes.io/component=worker',
      indexes: { service: serviceOf },
    },
    signal,
  )
  reflector.store.subscribe(({ current }) => {
    const [service] = current === undefined ? [] : serviceOf(current)
    if (current === undefined || service === undefined) return
    const times = seen.get(service) ?? new Map<Step, number>()
    seen.set(service, times)
    for (const step of stepsOf(current)) if (!times.has(step)) times.set(step, performance.now())
  })
  return {
    synced: reflector.store.synced,
    count: (service) => reflector.store.byIndex('service', service).length,
    clear: (service) => void seen.delete(service),
    times: (service) => seen.get(service) ?? new Map(),
    stop: reflector.stop,
  }
}

function serviceOf({ metadata }: Pod): string[] {
  const name = metadata.labels?.[label]
  return name === undefined ? [] : [name]
}

function stepsOf({ status, spec }: Pod): Step[] {
  const reached: Step[] = ['created']
  if (spec?.nodeName !== undefined) reached.push('scheduled')
  if (status?.initContainerStatuses?.every(({ state }) => state?.terminated?.exitCode === 0)) reached.push('pulled')
  if (status?.containerStatuses?.some(({ state }) => state?.running !== undefined)) reached.push('started')
  if (conditionOf(status?.conditions, 'Ready')?.status === 'True') reached.push('ready')
  return reached
}
