import type { Model, ModelStatus } from '../api/model.ts'
import { type ModelReason, modelReasons } from '../api/model-reasons.ts'
import { apiVersion } from '../api/resource.ts'
import type { Applier } from '../kube/apply-if-changed.ts'
import { type Job, jobs as jobResource } from '../kube/builtin.ts'
import type { Clock } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { ReconcileContext, ReconcileResult } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { models as modelResource } from '../kube/hansa-resources.ts'
import type { Pod } from '../kube/pod-types.ts'
import { keyOf, type Live, refOf, refOfKey } from '../kube/resource.ts'
import type { Store } from '../kube/store.ts'
import { HansaError } from '../process/errors.ts'
import type { FetchClient } from './fetch-client.ts'
import type { FetchStates } from './fetch-states.ts'
import { type Finding, isNews, isVerified, summarise, verified } from './finding.ts'
import { modelLabel, type VerifySettings, verifyJob } from './verify-job.ts'
import { verifyResult } from './verify-result.ts'

const refusedSeconds = 30

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
  const look = model.spec.source.pvc === undefined ? fetched : onClaim
  const { afterSeconds, ...finding } = await look(model, context.signal, deps)
  if (isNews(model, finding)) await writeStatus(model, finding, context.signal, deps)
  return afterSeconds === undefined ? {} : { afterSeconds }
}

type Looked = Finding & { afterSeconds?: number }

async function fetched(model: Live<Model>, signal: AbortSignal, deps: ModelDeps): Promise<Looked> {
  const { states } = deps
  if (states.unreachable !== undefined) return { reason: 'FetchWorkerUnreachable', message: states.unreachable }
  let state = states.get(model.metadata.uid)
  if (state === undefined || state.generation !== model.metadata.generation) {
    try {
      state = await deps.fetch.put(model, signal)
    } catch (error) {
      if (signal.aborted || !(error instanceof HansaError)) throw error
      const reason = modelReasons.find((each) => each === error.reason) ?? 'FetchWorkerUnreachable'
      return { reason, message: error.message, afterSeconds: error.afterSeconds ?? refusedSeconds }
    }
    states.set(state)
  }
  if (state.phase === 'Verified') return verified()
  // The sum of bytes so far changes all the time; a status is written on transitions only.
  if (state.reason === 'Fetching') return { reason: 'Fetching', message: 'the files are being fetched and checked' }
  const { reason, message, file } = state
  return { reason, message: file === undefined ? message : `file ${file}: ${message}` }
}

async function onClaim(model: Live<Model>, signal: AbortSignal, deps: ModelDeps): Promise<Looked> {
  if (isVerified(model)) return verified()
  const desired = verifyJob(model, deps.settings)
  const { namespace = '', name } = model.metadata
  const live = deps.jobs.get({ namespace, name: desired.metadata.name })
  const job = await deps.applier.apply(jobResource, desired, live, { signal })
  return verifyResult(job, deps.pods.byIndex('model', keyOf({ namespace, name })))
}

async function writeStatus(model: Live<Model>, finding: Finding, signal: AbortSignal, deps: ModelDeps): Promise<void> {
  const status = summarise(model, finding, new Date(deps.clock.now()))
  // With the version that was judged: what is known of a deleted Model must never land on a new one of its name.
  const metadata = { ...refOf(model), resourceVersion: model.metadata.resourceVersion }
  const desired = { apiVersion, kind: 'Model', metadata, status }
  const written = await deps.applier.applyStatus(modelResource, desired, model, { signal })
  // What was not written is no transition: the store may be behind what was said already.
  if (written !== model) announce(model, status, deps.events)
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
