import type { KubeObject } from '../api/resource.ts'
import { isExpired, isNotFound, KubeApiError } from './api-error.ts'
import type { Applied, ApplyOptions, CallOptions, KubeClient, ListOptions, ObjectList } from './client-types.ts'
import { type Clock, systemClock } from './clock.ts'
import type { ClusterAccess } from './cluster-access.ts'
import { apiVersionOf, type Live, type ObjectRef, pathOf, type Resource, refOf } from './resource.ts'
import { createTransport, type Method } from './transport.ts'
import { watchEvents } from './watch.ts'

export type ClientLimits = {
  /** Calls a second over a longer time; default 50. */
  readonly requestsPerSecond?: number
  /** Calls at once; default 100. */
  readonly burst?: number
  /** Largest answer, and largest single watch event; default 64 MiB. */
  readonly responseBytes?: number
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

const defaultTimeoutSeconds = 15

/** Makes the client of one cluster. `userAgent` shows up in that cluster's audit log. */
export function createClient(deps: {
  readonly cluster: ClusterAccess
  readonly userAgent: string
  readonly limits?: ClientLimits
  readonly clock?: Clock
  readonly random?: () => number
}): KubeClient {
  const { cluster, userAgent, clock = systemClock, random = Math.random } = deps
  const limits = { requestsPerSecond: 50, burst: 100, responseBytes: 64 * 1024 * 1024, ...deps.limits }
  const transport = createTransport({ cluster, userAgent, limits, clock, random })

  async function call(
    method: Method,
    path: string,
    options: CallOptions,
    payload: { readonly body?: unknown; readonly contentType?: string } = {},
  ): Promise<unknown> {
    const { signal, timeoutSeconds = defaultTimeoutSeconds } = options
    return parse(await transport.send({ method, path, signal, timeoutSeconds, ...payload }), `${method} ${path}`)
  }

  async function callForObject<T extends KubeObject>(...args: Parameters<typeof call>): Promise<Live<T>> {
    const answer = await call(...args)
    if (!isLive(answer)) throw invalidAnswer(`${args[0]} ${args[1]}`, 'is no object')
    // The path names the kind, so the server answers with that kind; its fields are the server's word.
    return answer as Live<T>
  }

  function apply<T extends KubeObject>(path: string, object: Applied<T>, options: ApplyOptions): Promise<Live<T>> {
    const query = queryOf({ fieldManager: options.fieldManager, force: true })
    // JSON is YAML, and this content type is the one that every version of the API server takes.
    return callForObject('PATCH', path + query, options, { body: object, contentType: 'application/apply-patch+yaml' })
  }

  async function listPage<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions,
    query: Query,
  ): Promise<ObjectList<T> & { readonly next: string | undefined }> {
    const path = pathOf(resource, options) + queryOf({ ...selectors(options), ...query })
    const answer = await call('GET', path, options)
    if (!isList(answer)) throw invalidAnswer(`GET ${path}`, 'is no list')
    const next = answer.metadata.continue
    // Items of Kubernetes' own lists come without their kind.
    const named = { apiVersion: apiVersionOf(resource), kind: resource.kind }
    const items = answer.items.map((item) => Object.assign(item, named) as Live<T>)
    return { resourceVersion: answer.metadata.resourceVersion, items, next: next === '' ? undefined : next }
  }

  async function list<T extends KubeObject>(resource: Resource<T>, options: ListOptions): Promise<ObjectList<T>> {
    const { resourceVersion, pageSize = 500 } = options
    const version =
      resourceVersion === undefined ? {} : { resourceVersion, resourceVersionMatch: 'NotOlderThan' as const }
    const first = await listPage(resource, options, { limit: pageSize, ...version })
    const items = first.items
    for (let next = first.next; next !== undefined; ) {
      try {
        const page = await listPage(resource, options, { limit: pageSize, continue: next })
        for (const item of page.items) items.push(item)
        next = page.next
      } catch (thrown) {
        if (!isExpired(thrown)) throw thrown
        // The pages took longer than the server keeps their snapshot: one whole answer is the only consistent way.
        return listPage(resource, options, version)
      }
    }
    return { resourceVersion: first.resourceVersion, items }
  }

  return {
    cluster: cluster.name,
    namespace: cluster.namespace,
    async get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options: CallOptions) {
      try {
        return await callForObject<T>('GET', pathOf(resource, ref), options)
      } catch (thrown) {
        if (isNotFound(thrown)) return undefined
        throw thrown
      }
    },
    list,
    watch(resource, options) {
      const query = queryOf({
        ...selectors(options),
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.timeoutSeconds,
      })
      const path = pathOf(resource, options) + query
      return watchEvents(transport, path, limits.responseBytes, options)
    },
    create: (resource, object, options) =>
      callForObject(
        'POST',
        pathOf(resource, collectionOf(object)) + queryOf({ fieldManager: options.fieldManager }),
        options,
        { body: object },
      ),
    async createSubresource<Body extends KubeObject>(
      resource: Resource,
      ref: ObjectRef,
      subresource: string,
      body: Body,
      options: CallOptions,
    ) {
      // The API server answers a subresource's POST with the same kind, filled in.
      return (await call('POST', pathOf(resource, ref, subresource), options, { body })) as Body
    },
    apply: (resource, object, options) => apply(pathOf(resource, refOf(object)), object, options),
    applyStatus: (resource, object, options) => apply(pathOf(resource, refOf(object), 'status'), object, options),
    patch: (resource, ref, patch, options) =>
      callForObject(
        'PATCH',
        pathOf(resource, ref, options.subresource) + queryOf({ fieldManager: options.fieldManager }),
        options,
        { body: patch, contentType: 'application/merge-patch+json' },
      ),
    replace: (resource, object, options) =>
      callForObject('PUT', pathOf(resource, refOf(object)) + queryOf({ fieldManager: options.fieldManager }), options, {
        body: object,
      }),
    async delete(resource, ref, options) {
      const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options
      const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion }
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, propagationPolicy, gracePeriodSeconds }
      try {
        await call('DELETE', pathOf(resource, ref), options, { body })
        return true
      } catch (thrown) {
        if (isNotFound(thrown)) return false
        throw thrown
      }
    },
    async raw(method, path, options) {
      const { signal, timeoutSeconds = defaultTimeoutSeconds, body, contentType } = options
      const text = await transport.send({
        method,
        path,
        signal,
        timeoutSeconds,
        body,
        ...(contentType === undefined ? {} : { contentType }),
      })
      try {
        return JSON.parse(text) as unknown
      } catch {
        // Such as /healthz and /metrics, which answer in plain text.
        return text
      }
    },
    close: () => transport.close(),
  }
}

function selectors(options: { labelSelector?: string; fieldSelector?: string }): Query {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector }
}

function collectionOf(object: KubeObject): { namespace?: string } {
  const { namespace } = object.metadata
  return namespace === undefined ? {} : { namespace }
}

function queryOf(values: Query): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value))
  return query.size === 0 ? '' : `?${query}`
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidAnswer(where, 'is not JSON', cause)
  }
}

function isLive(value: unknown): value is Live {
  return typeof value === 'object' && value !== null && 'metadata' in value && typeof value.metadata === 'object'
}

type RawList = { metadata: { resourceVersion: string; continue?: string }; items: object[] }

function isList(value: unknown): value is RawList {
  if (!isLive(value) || typeof value.metadata.resourceVersion !== 'string') return false
  // A list without items comes as null from some aggregated servers.
  const list = value as { items?: unknown }
  list.items ??= []
  return Array.isArray(list.items)
}

function invalidAnswer(where: string, what: string, cause?: unknown): KubeApiError {
  return new KubeApiError({
    reason: 'ApiServerAnswerInvalid',
    message: `${where}: the answer ${what}`,
    ...(cause === undefined ? {} : { cause }),
  })
}
