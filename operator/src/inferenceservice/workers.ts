import { z } from 'zod'
import type { WorkersReadyReason } from '../api/inference-service-reasons.ts'
import { type ModelReason, modelReasons } from '../api/model-reasons.ts'
import type { Deployment } from '../kube/builtin.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { ContainerStatus, Pod } from '../kube/pod-types.ts'

/** Why workers are not ready; `model` is set when it is the model's files that a worker refuses. */
export type Trouble = { reason: WorkersReadyReason; message: string; model?: { reason: ModelReason; message: string } }

const reportSchema = z.object({
  reason: z.string().max(128),
  message: z.string().max(4096),
  file: z.string().max(512).optional(),
})

/** Reads what a worker container wrote into its termination message. */
export function reportOf(text: string | undefined): z.infer<typeof reportSchema> | undefined {
  if (text === undefined || !text.startsWith('{')) return undefined
  try {
    return reportSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The worst that pods and Deployment of one revision tell, most telling first; undefined when nothing is wrong. */
export function troubleOf(deployment: Deployment | undefined, pods: readonly Pod[]): Trouble | undefined {
  for (const find of [reported, imagePull, crashLoop]) {
    for (const pod of pods) {
      const trouble = find(pod)
      if (trouble !== undefined) return trouble
    }
  }
  return quota(deployment) ?? unschedulable(pods) ?? deadline(deployment)
}

/** What it means for the workers that the API server refuses one of the service's objects. */
export function refusedTrouble({ message }: Error): Trouble {
  const reason = /exceeded quota|LimitRange/i.test(message) ? 'QuotaExceeded' : 'AdmissionRefused'
  return { reason, message: `the API server refuses an object of the service: ${message}` }
}

export function isReady(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && isTrue(pod.status?.conditions, 'Ready')
}

function statuses(pod: Pod): ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
}

/**
 * How the container ended, or ended last while it waits for its next try or is not through with it: a reason that came and went
 * with each try would write a status each time, and be gone half of the time that somebody looks.
 */
function lastEnd(pod: Pod, { name, state, started, lastState }: ContainerStatus) {
  if (state?.terminated !== undefined) return state.terminated
  const isInit = pod.status?.initContainerStatuses?.some((each) => each.name === name) ?? false
  const isUp = state?.running !== undefined && started === true && !isInit
  return isUp ? undefined : lastState?.terminated
}

function reported(pod: Pod): Trouble | undefined {
  if (isReady(pod)) return undefined
  for (const status of statuses(pod)) {
    const ended = lastEnd(pod, status)
    if (ended === undefined || ended.exitCode === 0) continue
    const report = reportOf(ended.message)
    if (report === undefined) continue
    const where = `pod ${pod.metadata.name}: ${report.file === undefined ? '' : `file ${report.file}: `}${report.message}`
    if (report.reason === 'ExecutionProviderUnavailable')
      return { reason: 'ExecutionProviderUnavailable', message: where }
    const reason = modelReasons.find((known) => known === report.reason)
    const trouble: Trouble = { reason: 'ModelLoadFailed', message: `${report.reason}: ${where}` }
    return reason === undefined ? trouble : { ...trouble, model: { reason, message: where } }
  }
  return undefined
}

/** A container whose image the node cannot pull. */
export function imagePull(pod: Pod): Trouble | undefined {
  for (const { name, state } of statuses(pod)) {
    const reason = state?.waiting?.reason
    if (reason !== 'ErrImagePull' && reason !== 'ImagePullBackOff' && reason !== 'InvalidImageName') continue
    return {
      reason: 'ImagePullFailed',
      message: `pod ${pod.metadata.name}: container ${name}: the node cannot pull the worker image; check the chart's worker image and its pull secret`,
    }
  }
  return undefined
}

function crashLoop(pod: Pod): Trouble | undefined {
  for (const status of statuses(pod)) {
    const { name, state } = status
    const ended = lastEnd(pod, status)
    const failed = ended !== undefined && ended.exitCode !== 0 && status.restartCount > 0
    if (state?.waiting?.reason !== 'CrashLoopBackOff' && !failed) continue
    const why =
      ended?.reason === 'OOMKilled'
        ? 'out of memory; raise spec.resources.limits.memory'
        : `exit code ${ended?.exitCode ?? 'unknown'}`
    return {
      reason: 'CrashLooping',
      message: `pod ${pod.metadata.name}: container ${name} keeps ending: ${why}; see kubectl logs -n ${pod.metadata.namespace} ${pod.metadata.name} -c ${name} --previous`,
    }
  }
  return undefined
}

function quota(deployment: Deployment | undefined): Trouble | undefined {
  const failure = conditionOf(deployment?.status?.conditions, 'ReplicaFailure')
  if (failure?.status !== 'True') return undefined
  return { reason: 'QuotaExceeded', message: failure.message ?? 'the API server refuses to create worker pods' }
}

function unschedulable(pods: readonly Pod[]): Trouble | undefined {
  for (const pod of pods) {
    const scheduled = conditionOf(pod.status?.conditions, 'PodScheduled')
    if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') continue
    return { reason: 'Unschedulable', message: `the scheduler finds no node for a worker: ${scheduled.message ?? ''}` }
  }
  return undefined
}

function deadline(deployment: Deployment | undefined): Trouble | undefined {
  const progressing = conditionOf(deployment?.status?.conditions, 'Progressing')
  if (progressing?.reason !== 'ProgressDeadlineExceeded') return undefined
  return {
    reason: 'DeadlineExceeded',
    message: `workers did not become ready within spec.timeouts.loadSeconds; see kubectl describe deployment -n ${deployment?.metadata.namespace} ${deployment?.metadata.name}`,
  }
}
