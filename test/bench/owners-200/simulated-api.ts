import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { merged } from '../../integration/link/memory-cluster.ts'

type Metadata = {
  name: string
  namespace?: string
  uid: string
  resourceVersion: string
  generation: number
  labels?: Record<string, string>
  finalizers?: string[]
  deletionTimestamp?: string
  creationTimestamp: string
}
type Stored = { metadata: Metadata; spec?: unknown; status?: Record<string, unknown>; [field: string]: unknown }
type Collection = {
  objects: Map<string, Stored>
  history: { version: number; line: string; object: Stored }[]
  watchers: Set<{ response: ServerResponse; accepts: (object: Stored) => boolean }>
}
type Target = { plural: string; namespace?: string; name?: string; subresource?: string }

class Refusal extends Error {
  readonly status: number
  readonly reason: string
  constructor(status: number, reason: string) {
    super(reason)
    this.status = status
    this.reason = reason
  }
}

const mostHistory = 50_000
const pathPattern =
  /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/(?<namespace>[^/]+)(?=\/))?\/(?<plural>[a-z]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[a-z]+))?$/

/**
 * An API server reduced to what the asking side of an operator calls, over plain HTTP: lists, watches, create, apply, merge patch and
 * delete, with versions, conflicts and finalizers. It judges nothing and writes nothing to disk, so that what is measured is the operator.
 */
export async function startSimulatedApi(): Promise<{ url: string; close(): void }> {
  const collections = new Map<string, Collection>()
  const applied = new Map<string, Record<string, unknown>>()
  let version = 1

  const of = (plural: string): Collection => {
    const found = collections.get(plural) ?? { objects: new Map(), history: [], watchers: new Set() }
    collections.set(plural, found)
    return found
  }

  function publish(plural: string, type: string, object: Stored): Stored {
    const collection = of(plural)
    version += 1
    object.metadata.resourceVersion = String(version)
    const line = `${JSON.stringify({ type, object })}\n`
    collection.history.push({ version, line, object })
    if (collection.history.length > mostHistory) collection.history.splice(0, mostHistory / 2)
    for (const { response, accepts } of collection.watchers) if (accepts(object)) response.write(line)
    return object
  }

  function create(target: Target, body: Stored): Stored {
    const metadata = {
      ...body.metadata,
      ...(target.namespace !== undefined && { namespace: target.namespace }),
      uid: randomUUID(),
      generation: 1,
      creationTimestamp: new Date().toISOString(),
    }
    const key = keyOf(metadata)
    if (of(target.plural).objects.has(key)) throw new Refusal(409, 'AlreadyExists')
    const object = { ...body, metadata }
    of(target.plural).objects.set(key, object)
    return publish(target.plural, 'ADDED', object)
  }

  function find(target: Target): Stored {
    const found = of(target.plural).objects.get(keyOf({ namespace: target.namespace, name: target.name ?? '' }))
    if (found === undefined) throw new Refusal(404, 'NotFound')
    return found
  }

  function change(target: Target, object: Stored): Stored {
    const { metadata } = object
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      of(target.plural).objects.delete(keyOf(metadata))
      return publish(target.plural, 'DELETED', object)
    }
    of(target.plural).objects.set(keyOf(metadata), object)
    return publish(target.plural, 'MODIFIED', object)
  }

  function apply(target: Target, body: Stored, manager: string): Stored {
    const isStatus = target.subresource === 'status'
    if (!isStatus && !of(target.plural).objects.has(keyOf({ namespace: target.namespace, name: target.name ?? '' }))) {
      return create(target, body)
    }
    const live = find(target)
    refuseConflict(live, body.metadata)
    if (!isStatus) return change(target, { ...live, spec: body.spec })
    const key = `${target.plural}/${keyOf(live.metadata)}/${manager}`
    const status = merged(live.status ?? {}, applied.get(key) ?? {}, body.status ?? {})
    applied.set(key, body.status ?? {})
    if (JSON.stringify(status) === JSON.stringify(live.status ?? {})) return live
    return change(target, { ...live, metadata: { ...live.metadata }, status })
  }

  function remove(target: Target, body: Stored): Stored {
    const live = find(target)
    refuseConflict(live, (body.preconditions ?? {}) as Partial<Metadata>)
    return change(target, { ...live, metadata: { ...live.metadata, deletionTimestamp: new Date().toISOString() } })
  }

  function write(method: string, target: Target, body: Stored, query: URLSearchParams, type: string): Stored {
    // Nobody reads them here.
    if (target.plural === 'events') return body
    if (method === 'POST') return create(target, body)
    if (method === 'DELETE') return remove(target, body)
    if (type.startsWith('application/apply-patch')) return apply(target, body, query.get('fieldManager') ?? '')
    const live = find(target)
    refuseConflict(live, body.metadata ?? {})
    const next = mergePatch(live, body) as Stored
    next.metadata = { ...next.metadata, uid: live.metadata.uid }
    return change(target, next)
  }

  function watch(target: Target, query: URLSearchParams, response: ServerResponse): void {
    const collection = of(target.plural)
    const accepts = acceptor(target, query)
    const from = Number(query.get('resourceVersion') ?? version)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    for (const event of collection.history) {
      if (event.version > from && accepts(event.object)) response.write(event.line)
    }
    const watcher = { response, accepts }
    collection.watchers.add(watcher)
    response.on('close', () => collection.watchers.delete(watcher))
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://simulated')
    const groups = pathPattern.exec(url.pathname)?.groups
    if (groups?.plural === undefined) throw new Refusal(404, 'NotFound')
    const { plural, namespace, name, subresource } = groups
    const target: Target = {
      plural,
      ...(namespace !== undefined && { namespace }),
      ...(name !== undefined && { name }),
      ...(subresource !== undefined && { subresource }),
    }
    const { method = '' } = request
    if (method !== 'GET') {
      const body = JSON.parse((await text(request)) || '{}')
      return send(response, 200, write(method, target, body, url.searchParams, request.headers['content-type'] ?? ''))
    }
    if (url.searchParams.has('watch')) return watch(target, url.searchParams, response)
    if (name !== undefined) return send(response, 200, find(target))
    const items = [...of(plural).objects.values()].filter(acceptor(target, url.searchParams))
    send(response, 200, { kind: 'List', metadata: { resourceVersion: String(version) }, items })
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const { status, reason } = error instanceof Refusal ? error : new Refusal(500, String(error))
      send(response, status, { kind: 'Status', status: 'Failure', code: status, reason, message: reason })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function acceptor({ namespace }: Target, query: URLSearchParams): (object: Stored) => boolean {
  const wanted = (query.get('labelSelector') ?? '')
    .split(',')
    .filter((each) => each.includes('='))
    .map((each) => each.split('=', 2))
  return ({ metadata }) =>
    (namespace === undefined || metadata.namespace === namespace) &&
    wanted.every(([label = '', value]) => metadata.labels?.[label] === value)
}

function keyOf({ namespace, name }: { namespace?: string | undefined; name: string }): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}

function refuseConflict({ metadata }: Stored, expected: Partial<Metadata>): void {
  const { uid, resourceVersion } = expected
  const isOther = (uid !== undefined && uid !== metadata.uid) || resourceVersion !== undefined
  if (isOther && (resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion) {
    throw new Refusal(409, 'Conflict')
  }
  if (uid !== undefined && uid !== metadata.uid) throw new Refusal(409, 'Conflict')
}

/** RFC 7396. */
function mergePatch(value: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  for (const [name, each] of Object.entries(patch)) {
    if (each === null) delete result[name]
    else result[name] = mergePatch(result[name], each)
  }
  return result
}
