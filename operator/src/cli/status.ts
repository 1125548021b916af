import type { InferenceService, InferenceServiceStatus } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { Model } from '../api/model.ts'
import { modelConditionReasons } from '../api/model-reasons.ts'
import type { Peer } from '../api/peer.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import type { Condition } from '../api/resource.ts'
import { revisionLabel, workerSelector } from '../inferenceservice/names.ts'
import { isReady, troubleOf } from '../inferenceservice/workers.ts'
import { type Deployment, deployments as deploymentResource, pods as podResource } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { isTrue } from '../kube/conditions.ts'
import { inferenceServices, models, peers as peerResource } from '../kube/hansa-resources.ts'
import type { Pod } from '../kube/pod-types.ts'
import { ownWorkers } from '../placement/managed.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { type Io, paint, plain } from './io.ts'
import { type Format, printObject } from './output.ts'
import { ownerTree } from './owner-lines.ts'
import { readable } from './readable.ts'

type Seen = {
  service: InferenceService
  model: Model | undefined
  /** Undefined: the caller may not read them. */
  deployments: Deployment[] | undefined
  pods: Pod[] | undefined
  peers: Peer[] | undefined
}

/** `status NAME`: the tree service, model, owner, revision, pod, each with what is wrong and what to do. Returns whether it is Ready. */
export async function status(
  client: KubeClient,
  options: { name: string; namespace: string; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, namespace } = options
  const service = await client.get(inferenceServices, { namespace, name }, { signal })
  if (service === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `there is no InferenceService ${name} in namespace ${namespace}`,
      'kubectl hansa list --all-namespaces shows all.',
    )
  }
  const labelSelector = workerSelector(name)
  const [model, deployments, pods, peers] = await Promise.all([
    client.get(models, { namespace, name: service.spec.modelRef.name }, { signal }),
    readable(client, deploymentResource, { namespace, labelSelector, signal }),
    readable(client, podResource, { namespace, labelSelector, signal }),
    service.status?.owners === undefined ? [] : readable(client, peerResource, { signal }),
  ])
  const ready = isTrue(service.status?.conditions, 'Ready')
  if (options.output !== 'table') {
    await printObject(io, options.output, { service, model, deployments, pods })
    return ready
  }
  io.out(tree({ service, model, deployments, pods, peers }, io))
  return ready
}

function tree({ service, model, deployments, pods, peers }: Seen, io: Io): string {
  const { metadata, spec, status: seen = {} } = service
  const lines = [
    `${paint(io, 'bold', `InferenceService ${metadata.namespace}/${metadata.name}`)}`,
    ...(seen.url === undefined ? [] : [`  url  ${seen.url}`]),
    ...conditionLines(seen.conditions, inferenceServiceReasons, io, '  '),
    `  Model ${spec.modelRef.name}${model === undefined ? ': not found' : ''}`,
    ...(model === undefined ? [] : conditionLines(model.status?.conditions, modelConditionReasons, io, '    ')),
  ]
  lines.push(
    `  owner own: ${seen.readyReplicas ?? 0} of ${ownWorkers(service, seen.desiredReplicas ?? seen.replicas ?? 0)} ready in this cluster`,
  )
  lines.push(...revisionLines(seen, deployments, pods, io, '    '))
  lines.push(...ownerTree(seen.owners, peers, io, '  '))
  return `${lines.map(plainButColour(io)).join('\n')}\n`
}

function revisionLines(
  { traffic }: InferenceServiceStatus,
  deployments: Seen['deployments'],
  pods: Seen['pods'],
  io: Io,
  indent: string,
): string[] {
  if (deployments === undefined || pods === undefined) {
    return [`${indent}You may not read the Deployments and Pods of this namespace, so revisions are not shown.`]
  }
  if (deployments.length === 0) return [`${indent}no revision`]
  return deployments.flatMap((deployment) => {
    const revision = deployment.metadata.labels?.[revisionLabel] ?? deployment.metadata.name
    const own = pods.filter((pod) => pod.metadata.labels?.[revisionLabel] === revision)
    const percent = traffic?.find((each) => each.revision === revision)?.percent ?? 0
    const wanted = deployment.spec.replicas ?? 1
    const ready = deployment.status?.readyReplicas ?? 0
    const trouble = ready < wanted ? troubleOf(deployment, own) : undefined
    return [
      `${indent}revision ${revision}: ${percent} % of requests, ${ready} of ${wanted} ready`,
      ...(trouble === undefined ? [] : [`${indent}  ${paint(io, 'red', trouble.reason)}: ${trouble.message}`]),
      ...own.map((pod) => `${indent}  ${podLine(pod, io)}`),
    ]
  })
}

/** Words from the cluster must not steer the terminal; only our own colours may stay. */
function plainButColour(io: Io): (line: string) => string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: our own colour codes are kept, all else is shown as ?
  const ours = /(\u001b\[(?:0|1|3[1-3]|90)m)/
  return (line) =>
    io.colour
      ? line
          .split(ours)
          .map((part, i) => (i % 2 === 1 ? part : plain(part)))
          .join('')
      : plain(line)
}

function conditionLines(
  conditions: readonly Condition[] | undefined,
  catalogue: Readonly<Record<string, ReasonCatalogue>>,
  io: Io,
  indent: string,
): string[] {
  if (conditions === undefined || conditions.length === 0) {
    return [
      `${indent}${paint(io, 'yellow', '?')} the operator has not looked at it yet; is it running? kubectl hansa check`,
    ]
  }
  const shown = new Set<string>()
  return conditions.flatMap(({ type, status: value, reason, message }) => {
    const mark =
      value === 'True'
        ? paint(io, 'green', '+')
        : paint(io, value === 'False' ? 'red' : 'yellow', value === 'False' ? 'x' : '?')
    const line = `${indent}${mark} ${type}: ${reason}${message === '' ? '' : `: ${message}`}`
    const text = catalogue[type]?.[reason]
    // Ready repeats the reason of another condition; its remedy is said once.
    if (value === 'True' || text === undefined || shown.has(reason)) return [line]
    shown.add(reason)
    return [line, `${indent}  ${paint(io, 'grey', text.remedy)}`]
  })
}

function podLine(pod: Pod, io: Io): string {
  const { name, deletionTimestamp } = pod.metadata
  const where = pod.spec?.nodeName === undefined ? '' : ` on ${pod.spec.nodeName}`
  if (deletionTimestamp !== undefined) return `${paint(io, 'yellow', '?')} pod ${name}${where}: ending`
  if (isReady(pod)) return `${paint(io, 'green', '+')} pod ${name}${where}: ready${restarts(pod)}`
  return `${paint(io, 'red', 'x')} pod ${name}${where}: ${pod.status?.phase ?? 'Unknown'}, not ready${restarts(pod)}`
}

function restarts(pod: Pod): string {
  const count = (pod.status?.containerStatuses ?? []).reduce((sum, each) => sum + each.restartCount, 0)
  return count === 0 ? '' : `, ${count} restarts`
}
