import type { Model, ModelStatus } from '../api/model.ts'
import { type ModelReason, modelReasonTexts } from '../api/model-reasons.ts'
import { apiVersion, type Condition } from '../api/resource.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import { type Job, jobs as jobResource } from '../kube/builtin.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf, setConditions } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { models as modelResource } from '../kube/hansa-resources.ts'
import type { Pod } from '../kube/pod-types.ts'
import { keyOf, type Live, refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import type { FetchClient } from './fetch-client.ts'
import type { FetchStates } from './fetch-states.ts'
import { type Finding, modelLabel, type VerifySettings, verifyJob, verifyJobName, verifyResult } from './verify-job.ts'

export type ModelDeps = {
  applier: Applier
  events: EventRecorder
  clock: Clock
  settings: VerifySettings
  models: Store<Model>
  jobs: Store<Job>
  /** Pods that Hansa made; index `model` holds `namespace/name` of the Model that a verify pod is for. */
  pods: Store<Pod, 'model'>
  fetch: FetchClient
  states: FetchStates
}

/** Has the files of one Model fetched and checked, and says in its status what came of it; key `namespace/name`. */
export async function reconcileModel(
  key: string,
  context: ReconcileContext,
  deps: ModelDeps,
): Promise<ReconcileResult> {
  const model = deps.models.get(refOfKey(key))
  if (model === undefined || model.metadata.deletionTimestamp !== undefined) return {}
  const finding = await (model.spec.source.pvc === undefined ? fetched : onClaim)(model, context.signal, deps)
  if (finding === undefined) return {}
  const status = summarise(model, finding, new Date(deps.clock.now()))
  await deps.applier.applyStatus(modelResource, { apiVersion, kind: 'Model', metadata: refOf(model), status }, model, {
    signal: context.signal,
  })
  announce(model, status, deps.events)
  return {}
}

/** Undefined: nothing new is known, the status stays. */
async function fetched(model: Live<Model>, signal: AbortSignal, deps: ModelDeps): Promise<Finding | undefined> {
  const { states } = deps
  if (states.unreachable !== undefined) {
    // A Model that was verified stays so: its workers run on, and new ones learn from fetch itself.
    return wasVerified(model) ? undefined : { reason: 'FetchWorkerUnreachable', message: states.unreachable }
  }
  let state = states.get(model.metadata.uid)
  if (state === undefined || state.generation !== model.metadata.generation) {
    state = await deps.fetch.put(model, signal)
    states.set(state)
  }
  // Fetch lost its disk and fetches again: verified content of an immutable spec is still the same content.
  if (wasVerified(model) && (state.phase === 'Pending' || state.phase === 'Fetching')) return undefined
  if (state.phase === 'Verified') return verified()
  // The sum of bytes so far changes all the time; a status is written on transitions only.
  if (state.reason === 'Fetching') return { reason: 'Fetching', message: 'the files are being fetched and checked' }
  return {
    reason: state.reason,
    message: state.file === undefined ? state.message : `file ${state.file}: ${state.message}`,
  }
}

async function onClaim(model: Live<Model>, signal: AbortSignal, deps: ModelDeps): Promise<Finding | undefined> {
  if (wasVerified(model)) return undefined
  const ref = { namespace: model.metadata.namespace ?? '', name: verifyJobName(model.metadata.name) }
  const live = deps.jobs.get(ref)
  const job = await deps.applier.apply(jobResource, verifyJob(model, deps.settings), live, { signal })
  const pods = deps.pods.byIndex('model', keyOf({ namespace: ref.namespace, name: model.metadata.name }))
  const result = verifyResult(job, pods)
  return result.reason === 'Verified' ? verified() : result
}

const verified = (): Finding => ({
  reason: 'Verified',
  message: 'every file has its size and digest and is safe to load',
})

function wasVerified(model: Model): boolean {
  const condition = conditionOf(model.status?.conditions, 'Verified')
  return condition?.status === 'True' && condition.observedGeneration === model.metadata.generation
}

/** The one place that makes a Model's status. */
export function summarise(model: Model, { reason, message }: Finding, now: Date): ModelStatus {
  const observedGeneration = model.metadata.generation ?? 0
  const { status } = modelReasonTexts[reason]
  const ready = status === 'True' ? { reason: 'Ready', message: 'the model can be served' } : { reason, message }
  const conditions: Condition[] = setConditions(
    model.status?.conditions,
    [
      { type: 'Verified', status, reason, message, observedGeneration },
      { type: 'Ready', status, ...ready, observedGeneration },
    ],
    now,
  )
  return {
    observedGeneration,
    sizeBytes: model.spec.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    conditions,
  }
}

const waiting: readonly ModelReason[] = ['Pending', 'Fetching', 'Verified']

function announce(model: Model, status: ModelStatus, events: EventRecorder): void {
  const before = conditionOf(model.status?.conditions, 'Verified')
  const after = conditionOf(status.conditions, 'Verified')
  if (after === undefined || (before?.status === after.status && before.reason === after.reason)) return
  const type = waiting.some((reason) => reason === after.reason) ? 'Normal' : 'Warning'
  events.record(model, { type, reason: after.reason, action: 'Verify', note: after.message })
}

/** The Model that a verify pod is for, for the pods' index. */
export function modelOfPod(pod: Pod): readonly string[] {
  const name = pod.metadata.labels?.[modelLabel]
  return name === undefined ? [] : [keyOf({ namespace: pod.metadata.namespace ?? '', name })]
}
