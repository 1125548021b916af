import type { IncomingMessage } from 'node:http'

export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection'
  /** Not about a resource, such as /healthz or discovery. */
  | 'other'

/** What a rule may decide by. */
export interface RequestFacts {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly verb: Verb
  readonly isWatch: boolean
  readonly isList: boolean
  /** Empty for the core group. */
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly userAgent: string
  /** The encodings that the client asks for. */
  readonly accept: string
  /** 1 for the first write since the last reset, in order of arrival; undefined for what does not count as a write. */
  readonly writeIndex: number | undefined
}

/** Reads from the request line what the API server will take it to be. */
export function requestFacts(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>): RequestFacts {
  const method = request.method ?? 'GET'
  const url = new URL(request.url ?? '/', 'https://proxy.invalid')
  const target = parsePath(url.pathname)
  const verb = target.resource === '' ? 'other' : verbOf(method, target.name, url.searchParams)
  return {
    ...target,
    method,
    path: url.pathname,
    query: url.searchParams,
    verb,
    isWatch: verb === 'watch',
    isList: verb === 'list',
    userAgent: request.headers['user-agent'] ?? '',
    accept: request.headers.accept ?? '',
    writeIndex: undefined,
  }
}

/**
 * Whether a request changes what the cluster stores, and is no mere heartbeat or notice: no lease, no event, no dry run,
 * no review and no token.
 */
export function isLastingWrite(facts: RequestFacts): boolean {
  const mutating = ['create', 'update', 'patch', 'delete', 'deletecollection'].includes(facts.verb)
  return (
    mutating &&
    !['leases', 'events'].includes(facts.resource) &&
    !['authentication.k8s.io', 'authorization.k8s.io'].includes(facts.group) &&
    !(facts.resource === 'serviceaccounts' && facts.subresource === 'token') &&
    !facts.query.has('dryRun')
  )
}

interface Target {
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

const nothing: Target = { group: '', resource: '', subresource: '', namespace: '', name: '' }

function parsePath(path: string): Target {
  const [root, ...segments] = path.split('/').filter((segment) => segment !== '')
  if (root !== 'api' && root !== 'apis') return nothing
  const group = root === 'apis' ? (segments.shift() ?? '') : ''
  segments.shift() // version
  let namespace = ''
  // A namespace is itself a resource: .../namespaces/x, .../namespaces/x/finalize
  const isInNamespace = segments[0] === 'namespaces' && segments.length > 2
  if (isInNamespace && !['status', 'finalize'].includes(segments[2] ?? '')) {
    namespace = segments[1] ?? ''
    segments.splice(0, 2)
  }
  const [resource = '', name = '', ...rest] = segments
  return { group, resource, namespace, name, subresource: rest.join('/') }
}

function verbOf(method: string, name: string, query: URLSearchParams): Verb {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (['true', '1'].includes(query.get('watch') ?? '')) return 'watch'
      return name === '' ? 'list' : 'get'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete'
    default:
      return 'other'
  }
}
