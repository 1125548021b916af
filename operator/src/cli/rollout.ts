import type { InferenceService } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import { revisionLabel, workerSelector } from '../inferenceservice/names.ts'
import { deployments as deploymentResource } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { conditionOf } from '../kube/conditions.ts'
import { inferenceServices } from '../kube/hansa-resources.ts'
import { type OrderKind, orderAnnotation, orderKinds } from '../rollout/orders.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { type Io, paint, plain } from './io.ts'
import { columns, type Format, printObject } from './output.ts'
import { readable } from './readable.ts'

export type Named = { name: string; namespace: string }

/** `rollout status NAME`: the revisions with their shares and workers. Returns whether the last rollout was not rolled back. */
export async function rolloutStatus(
  client: KubeClient,
  options: Named & { output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace, name, output } = options
  const service = await readService(client, options, signal)
  const labelSelector = workerSelector(name)
  const deployments = await readable(client, deploymentResource, { namespace, labelSelector, signal })
  const { status = {} } = service
  const condition = conditionOf(status.conditions, 'RolledOut')
  const isWell = condition?.status !== 'False'
  if (output !== 'table') {
    const { rollout, traffic, revision, latestRevision } = status
    await printObject(io, output, { namespace, name, revision, latestRevision, traffic, rollout, rolledOut: condition })
    return isWell
  }
  const known = new Set([
    ...(status.traffic ?? []).map(({ revision }) => revision),
    ...(status.latestRevision === undefined ? [] : [status.latestRevision]),
  ])
  const rows = [...known].map((revision) => {
    const deployment = deployments?.find(({ metadata }) => metadata.labels?.[revisionLabel] === revision)
    const percent = status.traffic?.find((each) => each.revision === revision)?.percent ?? 0
    return [
      revision,
      `${percent} %`,
      deployments === undefined ? '?' : String(deployment?.status?.readyReplicas ?? 0),
      deployments === undefined ? '?' : String(deployment?.spec.replicas ?? 0),
      roleOf(service, revision),
    ]
  })
  io.out(`${paint(io, 'bold', `InferenceService ${namespace}/${name}`)}, strategy ${service.spec.rollout.strategy}\n`)
  io.out(`${verdictLine(service, io)}\n`)
  if (rows.length > 0) io.out(columns(['REVISION', 'TRAFFIC', 'READY', 'WANTED', 'ROLE'], rows))
  if (deployments === undefined)
    io.err('You may not read the Deployments of this namespace, so workers are not shown.\n')
  return isWell
}

/** `rollout pause` and `resume`. */
export async function setPaused(
  client: KubeClient,
  named: Named,
  paused: boolean,
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const service = await readService(client, named, signal)
  if (service.spec.rollout.strategy !== 'Canary') {
    throw new CliError(
      exitCodes.notReady,
      `InferenceService ${named.name} has no canaries: spec.rollout.strategy is ${service.spec.rollout.strategy}`,
      'Set spec.rollout.strategy to Canary.',
    )
  }
  if (service.spec.rollout.paused !== paused) {
    await client.patch(inferenceServices, named, { spec: { rollout: { paused } } }, { signal })
  }
  const now = service.status?.rollout
  const isUnderWay = now !== undefined && now.state !== 'RolledBack'
  const what = isUnderWay ? `the canary of revision ${now.revision}` : 'no canary is under way; the next one'
  io.out(`${what} ${paused ? 'is held at its step' : 'goes on'}${isUnderWay ? '' : ' when it comes'}\n`)
}

/** `rollout promote`, `abort` and `retry`: an order to the operator about the revision that is being tried, or was. */
export async function order(
  client: KubeClient,
  named: Named,
  kind: OrderKind,
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const service = await readService(client, named, signal)
  const now = service.status?.rollout
  if (now === undefined) {
    throw new CliError(
      exitCodes.notReady,
      `no canary of InferenceService ${named.name} is under way`,
      service.spec.rollout.strategy === 'Canary'
        ? 'One begins with the next change of the Model or of the workers.'
        : `spec.rollout.strategy is ${service.spec.rollout.strategy}; set it to Canary.`,
    )
  }
  const isRolledBack = now.state === 'RolledBack'
  if (isRolledBack !== (kind === 'retry')) {
    throw new CliError(
      exitCodes.notReady,
      isRolledBack
        ? `the canary of revision ${now.revision} was rolled back already`
        : `the canary of revision ${now.revision} is under way`,
      isRolledBack
        ? `kubectl hansa rollout retry ${named.name} tries it again.`
        : 'Only what was rolled back can be tried again.',
    )
  }
  // The time makes the same order a new one; the other orders have lost their meaning.
  const value = `${now.revision}@${new Date(io.now()).toISOString()}`
  const annotations = Object.fromEntries(
    orderKinds.map((each) => [orderAnnotation(each), each === kind ? value : null]),
  )
  await client.patch(inferenceServices, named, { metadata: { annotations } }, { signal })
  const words = { promote: 'will be promoted', abort: 'will be rolled back', retry: 'will be tried again' }
  io.out(`revision ${plain(now.revision)} ${words[kind]}; follow it with: kubectl hansa rollout watch ${named.name}\n`)
}

/** Reads the service, or fails with what to do. */
export async function readService(client: KubeClient, named: Named, signal: AbortSignal): Promise<InferenceService> {
  const service = await client.get(inferenceServices, named, { signal })
  if (service !== undefined) return service
  throw new CliError(
    exitCodes.notFound,
    `there is no InferenceService ${named.name} in namespace ${named.namespace}`,
    'kubectl hansa list --all-namespaces shows all.',
  )
}

/** The condition RolledOut in a line, with what to do about it. */
export function verdictLine({ status }: InferenceService, io: Io): string {
  const condition = conditionOf(status?.conditions, 'RolledOut')
  if (condition === undefined) {
    return `${paint(io, 'yellow', '?')} nothing was rolled out yet; kubectl hansa status shows why`
  }
  const colour = condition.status === 'True' ? 'green' : condition.status === 'False' ? 'red' : 'yellow'
  const mark = condition.status === 'True' ? '+' : condition.status === 'False' ? 'x' : '?'
  const reasons: Readonly<Record<string, { remedy: string }>> = inferenceServiceReasons.RolledOut
  const remedy = condition.status === 'False' ? reasons[condition.reason]?.remedy : undefined
  const line = `${paint(io, colour, `${mark} ${plain(condition.reason)}`)}: ${plain(condition.message)}`
  return remedy === undefined ? line : `${line}\n  ${paint(io, 'grey', remedy)}`
}

function roleOf({ status }: InferenceService, revision: string): string {
  const { rollout, latestRevision } = status ?? {}
  if (rollout?.revision === revision) return rollout.state === 'RolledBack' ? 'rolled back' : 'new'
  return rollout === undefined && latestRevision === revision ? 'latest' : 'old'
}
