import { HansaError } from '@hansa/operator/process/errors.ts'
import type { FileContent } from './atomic-folder.ts'
import { fieldValue, type PodAddresses, resourceValue } from './field-ref.ts'
import type { KubeClient } from './kube-client.ts'
import {
  type ConfigMap,
  type DownwardItem,
  type KeyToPath,
  namespaceOf,
  type Pod,
  type ProjectedSource,
  type Secret,
  type Volume,
} from './kube-types.ts'
import type { ObjectCache } from './object-cache.ts'
import { requestToken, type ServiceAccountToken } from './service-account-token.ts'

/** A volume cannot be mounted now; a kubelet tries again and writes an event `FailedMount`. */
export class MountError extends HansaError {
  constructor(message: string, cause?: unknown) {
    super('FailedMount', message, cause === undefined ? {} : { cause })
  }
}

export interface ContentDeps {
  readonly pod: Pod
  readonly addresses: PodAddresses
  readonly objects: Pick<ObjectCache, 'configMap' | 'secret'>
  readonly client: KubeClient
  /** Tokens already issued for this volume, by path. */
  readonly tokens: Map<string, ServiceAccountToken>
}

type Content = Map<string, FileContent>

/** What a configMap, secret, downwardAPI or projected volume holds now; undefined for every other kind. */
export async function readContent(volume: Volume, deps: ContentDeps): Promise<Content | undefined> {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap) return readSource({ configMap }, configMap.defaultMode ?? 0o644, deps)
  if (secret) {
    const { secretName: name, defaultMode = 0o644, ...rest } = secret
    return readSource({ secret: { name, ...rest } }, defaultMode, deps)
  }
  if (downwardAPI) return readSource({ downwardAPI }, downwardAPI.defaultMode ?? 0o644, deps)
  if (!projected) return undefined
  const content: Content = new Map()
  for (const source of projected.sources ?? []) {
    for (const [path, file] of await readSource(source, projected.defaultMode ?? 0o644, deps)) content.set(path, file)
  }
  return content
}

/** The ConfigMaps and Secrets that a volume shows. */
export function referencedObjects(volume: Volume): { kind: 'configmaps' | 'secrets'; name: string }[] {
  const sources: readonly ProjectedSource[] = [
    ...(volume.projected?.sources ?? []),
    ...(volume.configMap ? [{ configMap: volume.configMap }] : []),
    ...(volume.secret ? [{ secret: { name: volume.secret.secretName } }] : []),
  ]
  return sources.flatMap(({ configMap, secret }) => [
    ...(configMap ? [{ kind: 'configmaps' as const, name: configMap.name }] : []),
    ...(secret ? [{ kind: 'secrets' as const, name: secret.name }] : []),
  ])
}

async function readSource(source: ProjectedSource, mode: number, deps: ContentDeps): Promise<Content> {
  const namespace = namespaceOf(deps.pod)
  const { configMap, secret, downwardAPI, serviceAccountToken } = source
  if (configMap) {
    const object = await deps.objects.configMap(namespace, configMap.name)
    return pick(object && configMapData(object), 'configmap', configMap, mode)
  }
  if (secret) {
    const object = await deps.objects.secret(namespace, secret.name)
    return pick(object && secretData(object), 'secret', secret, mode)
  }
  if (downwardAPI) {
    return new Map((downwardAPI.items ?? []).map((item) => [item.path, downwardFile(item, mode, deps)]))
  }
  if (!serviceAccountToken) throw new MountError('a projected volume has a source that this node does not know')
  const { path } = serviceAccountToken
  const known = deps.tokens.get(path)
  const token =
    known && known.renewAt > Date.now() ? known : await requestToken(deps.client, deps.pod, serviceAccountToken)
  deps.tokens.set(path, token)
  return new Map([[path, { data: Buffer.from(token.token), mode }]])
}

function configMapData(object: ConfigMap): Map<string, Buffer> {
  return new Map([
    ...Object.entries(object.data ?? {}).map(([key, text]) => [key, Buffer.from(text)] as const),
    ...Object.entries(object.binaryData ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const),
  ])
}

function secretData(object: Secret): Map<string, Buffer> {
  return new Map(Object.entries(object.data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64')]))
}

function pick(
  data: Map<string, Buffer> | undefined,
  kind: string,
  source: { readonly name: string; readonly items?: readonly KeyToPath[]; readonly optional?: boolean },
  mode: number,
): Content {
  if (!data) {
    if (source.optional) return new Map()
    throw new MountError(`${kind} "${source.name}" not found`)
  }
  const items: readonly KeyToPath[] = source.items ?? [...data.keys()].map((key) => ({ key, path: key }))
  const content: Content = new Map()
  for (const item of items) {
    const value = data.get(item.key)
    if (value) content.set(item.path, { data: value, mode: item.mode ?? mode })
    else if (!source.optional) throw new MountError(`${kind} "${source.name}" has no key ${item.key}`)
  }
  return content
}

function downwardFile(item: DownwardItem, mode: number, { pod, addresses }: ContentDeps): FileContent {
  const { fieldRef, resourceFieldRef } = item
  const value = fieldRef
    ? fieldValue(pod, addresses, fieldRef.fieldPath)
    : resourceFieldRef && resourceValue(pod, addresses, resourceFieldRef)
  if (value === undefined)
    throw new MountError(`downward API file ${item.path} has a source that this node does not know`)
  return { data: Buffer.from(value), mode: item.mode ?? mode }
}
