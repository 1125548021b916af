import type { InferenceService } from '../api/inference-service.ts'
import { apiVersion } from '../api/resource.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { conditionOf } from '../kube/conditions.ts'
import { inferenceServices } from '../kube/hansa-resources.ts'
import type { Io } from './io.ts'
import { age, columns, type Format, printObject } from './output.ts'

const types = ['ModelVerified', 'WorkersReady', 'Routable'] as const

/** `list`: the InferenceServices of one namespace, or of all (`namespace` undefined), with their conditions. */
export async function list(
  client: KubeClient,
  options: { namespace: string | undefined; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const { items } = await client.list(inferenceServices, {
    signal,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  })
  if (options.output !== 'table') {
    await printObject(io, options.output, { apiVersion, kind: 'InferenceServiceList', items })
    return
  }
  if (items.length === 0) {
    const where = options.namespace === undefined ? 'in any namespace' : `in namespace ${options.namespace}`
    io.err(`There is no InferenceService ${where}. Examples are in the folder examples/ of Hansa.\n`)
    return
  }
  const everywhere = options.namespace === undefined
  const head = ['NAME', 'READY', 'REASON', ...types.map((type) => type.toUpperCase()), 'WORKERS', 'MODEL', 'URL', 'AGE']
  io.out(
    columns(
      everywhere ? ['NAMESPACE', ...head] : head,
      items.map((service) => {
        const cells = row(service, io.now())
        return everywhere ? [service.metadata.namespace ?? '', ...cells] : cells
      }),
    ),
  )
}

function row({ metadata, spec, status = {} }: InferenceService, now: number): string[] {
  const ready = conditionOf(status.conditions, 'Ready')
  return [
    metadata.name,
    ready?.status ?? 'Unknown',
    ready?.reason ?? '',
    ...types.map((type) => conditionOf(status.conditions, type)?.status ?? 'Unknown'),
    `${status.readyReplicas ?? 0}/${status.replicas ?? 0}`,
    spec.modelRef.name,
    status.url ?? '',
    age(metadata.creationTimestamp, now),
  ]
}
