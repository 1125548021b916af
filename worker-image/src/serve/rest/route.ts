import { InferProblem } from '../problem.ts'
import { HttpProblem } from './http-problem.ts'

export type Route =
  | { kind: 'server' }
  | { kind: 'live' }
  | { kind: 'ready' }
  | { kind: 'models' }
  | { kind: 'model' }
  | { kind: 'modelReady' }
  | { kind: 'infer' }

/** Extensions of Triton and KServe that exist but are not offered: 501 says so where 404 would look like a typing error. */
const modelExtensions = new Set(['config', 'stats', 'generate', 'generate_stream', 'trace', 'explain'])
const serverExtensions = new Set(['repository', 'systemsharedmemory', 'cudasharedmemory', 'logging', 'trace'])

/** Finds what a request is for. Throws HttpProblem (400, 404, 405) and InferProblem (NotFound, Unsupported). */
export function route(method: string, url: string, model: { name: string; version: string }): Route {
  const segments = pathSegments(url)
  const found = find(segments, model)
  const allowed = found.kind === 'infer' ? ['POST'] : ['GET', 'HEAD']
  if (!allowed.includes(method)) {
    throw new HttpProblem(405, `the method must be ${allowed.join(' or ')}`, { allow: allowed.join(', ') })
  }
  return found
}

function find([root, area, ...rest]: readonly string[], model: { name: string; version: string }): Route {
  if (root !== 'v2') throw notFound()
  if (area === undefined) return { kind: 'server' }
  if (area === 'health' && rest.length === 1) {
    if (rest[0] === 'live') return { kind: 'live' }
    if (rest[0] === 'ready') return { kind: 'ready' }
  }
  if (serverExtensions.has(area)) throw new InferProblem('Unsupported', `the extension ${area} is not supported`)
  if (area !== 'models') throw notFound()
  const [name, ...tail] = rest
  if (name === undefined) return { kind: 'models' }
  if (name !== model.name) throw new InferProblem('NotFound', 'there is no such model here')
  if (tail[0] === 'versions') {
    if (tail[1] === undefined) throw notFound()
    if (tail[1] !== model.version) throw new InferProblem('NotFound', 'there is no such version of the model')
    tail.splice(0, 2)
  }
  const [action, ...more] = tail
  if (action === undefined) return { kind: 'model' }
  if (modelExtensions.has(action)) throw new InferProblem('Unsupported', `the extension ${action} is not supported`)
  if (more.length > 0) throw notFound()
  if (action === 'ready') return { kind: 'modelReady' }
  if (action === 'infer') return { kind: 'infer' }
  throw notFound()
}

function pathSegments(url: string): string[] {
  const path = url.split('?', 1)[0] ?? ''
  if (!path.startsWith('/')) throw new HttpProblem(400, 'the request target must be a path')
  try {
    return path.slice(1).split('/').map(decodeURIComponent)
  } catch {
    throw new HttpProblem(400, 'the path is not properly encoded')
  }
}

function notFound(): HttpProblem {
  return new HttpProblem(404, 'there is no such path')
}
