import type { InferenceService } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import { conditionOf } from '../kube/conditions.ts'

export type Running = {
  reason: 'Running' | 'Progressing' | 'Failed' | 'Draining' | 'Stopped'
  message: string
  /** The same for the requester: it says nothing of our nodes, pods and images. */
  told: string
  replicas: number
  readyReplicas: number
}

const progressing: ReadonlySet<string> = new Set([
  'Progressing',
  'ModelNotReady',
  'Suspended',
  'ScaledToZero',
  'NoReadyWorkers',
])
const meanings = new Map<string, string>(
  Object.values(inferenceServiceReasons).flatMap((reasons) =>
    Object.entries(reasons).map(([reason, { meaning }]): [string, string] => [reason, meaning]),
  ),
)

/** How guest work runs, from the InferenceService that was made for it. */
export function runningOf(service: InferenceService | undefined, wanted: number, refusal: string | undefined): Running {
  const { replicas = 0, readyReplicas = 0, conditions } = service?.status ?? {}
  const running = (reason: Running['reason'], message: string, told = message): Running => ({
    reason,
    message,
    told,
    replicas,
    readyReplicas,
  })
  if (refusal !== undefined) return running('Failed', refusal, 'the API server of the executor refuses its objects')
  if (readyReplicas >= wanted) return running('Running', 'all workers are ready')
  const worst = ['ModelVerified', 'WorkersReady']
    .map((type) => conditionOf(conditions, type))
    .find((condition) => condition !== undefined && condition.status !== 'True')
  if (worst === undefined || progressing.has(worst.reason)) {
    return running('Progressing', `${readyReplicas} of ${wanted} workers are ready`)
  }
  return running('Failed', `${worst.reason}: ${worst.message}`, `${worst.reason}: ${meanings.get(worst.reason) ?? ''}`)
}
