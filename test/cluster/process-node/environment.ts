import { HansaError } from '@hansa/operator/process/errors.ts'
import { expand } from './expand.ts'
import { fieldValue, type PodAddresses, resourceValue } from './field-ref.ts'
import type { ContainerSpec, EnvVar, KeySelector, Pod } from './kube-types.ts'
import { namespaceOf } from './kube-types.ts'
import type { ObjectCache } from './object-cache.ts'

/** The container cannot start as its spec stands; a kubelet shows this as `CreateContainerConfigError`. */
export class ContainerConfigError extends HansaError {
  constructor(message: string) {
    super('CreateContainerConfigError', message)
  }
}

export interface EnvironmentSources {
  readonly pod: Pod
  readonly container: ContainerSpec
  readonly addresses: PodAddresses
  readonly objects: Pick<ObjectCache, 'configMap' | 'secret'>
  /** Variables that the pod may override. */
  readonly base: Readonly<Record<string, string>>
}

/** Computes a container's variables in the order of the API: `base`, then `envFrom`, then `env`. */
export async function readEnvironment(sources: EnvironmentSources): Promise<Map<string, string>> {
  const variables = new Map(Object.entries(sources.base))
  for (const [name, value] of await readEnvFrom(sources)) variables.set(name, value)
  for (const variable of sources.container.env ?? []) {
    const value = await readVariable(variable, sources, variables)
    if (value !== undefined) variables.set(variable.name, value)
  }
  return variables
}

async function readEnvFrom({ pod, container, objects }: EnvironmentSources): Promise<Map<string, string>> {
  const namespace = namespaceOf(pod)
  const variables = new Map<string, string>()
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) {
      const configMap = await objects.configMap(namespace, configMapRef.name)
      if (!configMap && !configMapRef.optional) throw missing('configmap', configMapRef.name)
      for (const [key, value] of Object.entries(configMap?.data ?? {})) variables.set(prefix + key, value)
    }
    if (secretRef) {
      const secret = await objects.secret(namespace, secretRef.name)
      if (!secret && !secretRef.optional) throw missing('secret', secretRef.name)
      for (const [key, value] of Object.entries(secret?.data ?? {})) variables.set(prefix + key, decode(value))
    }
  }
  return variables
}

async function readVariable(
  { name, value, valueFrom }: EnvVar,
  { pod, container, addresses, objects }: EnvironmentSources,
  variables: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const namespace = namespaceOf(pod)
  if (!valueFrom) return expand(value ?? '', variables)
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom
  if (configMapKeyRef) {
    const configMap = await objects.configMap(namespace, configMapKeyRef.name)
    return keyOf(configMap?.data?.[configMapKeyRef.key], 'configmap', configMapKeyRef)
  }
  if (secretKeyRef) {
    const secret = await objects.secret(namespace, secretKeyRef.name)
    const encoded = keyOf(secret?.data?.[secretKeyRef.key], 'secret', secretKeyRef)
    return encoded === undefined ? undefined : decode(encoded)
  }
  const found = fieldRef
    ? fieldValue(pod, addresses, fieldRef.fieldPath)
    : resourceFieldRef && resourceValue(pod, addresses, resourceFieldRef, container)
  if (found === undefined) throw new ContainerConfigError(`variable ${name} has a source that this node does not know`)
  return found
}

function keyOf(value: string | undefined, kind: string, selector: KeySelector): string | undefined {
  if (value === undefined && !selector.optional) throw missing(kind, selector.name, selector.key)
  return value
}

function missing(kind: string, name: string, key?: string): ContainerConfigError {
  return new ContainerConfigError(
    key === undefined ? `${kind} "${name}" not found` : `couldn't find key ${key} in ${kind} ${name}`,
  )
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}
