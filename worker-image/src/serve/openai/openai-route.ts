import { InferProblem } from '../problem.ts'
import { HttpProblem } from '../rest/http-problem.ts'

export type OpenAiRoute = { kind: 'models' } | { kind: 'model' } | { kind: 'embeddings' }

const known = new Set(['chat', 'completions', 'responses', 'audio', 'images', 'files', 'fine_tuning', 'moderations'])

/** Whether a request target is one of the OpenAI-style calls, whose errors have a form of their own. */
export function isOpenAiPath(url: string | undefined): boolean {
  return url !== undefined && /^\/v1(?:[/?]|$)/.test(url)
}

/** Finds what an OpenAI-style request is for. Throws HttpProblem (404, 405) and InferProblem (NotFound). */
export function openAiRoute(method: string, url: string, modelName: string): OpenAiRoute {
  const [area = '', name, ...more] = (url.split('?', 1)[0] ?? '').split('/').slice(2)
  const found = find(area, name, more, modelName)
  const allowed = found.kind === 'embeddings' ? ['POST'] : ['GET', 'HEAD']
  if (!allowed.includes(method)) {
    throw new HttpProblem(405, `the method must be ${allowed.join(' or ')}`, { allow: allowed.join(', ') })
  }
  return found
}

function find(area: string, name: string | undefined, more: readonly string[], modelName: string): OpenAiRoute {
  if (area === 'embeddings' && name === undefined) return { kind: 'embeddings' }
  if (area === 'models' && more.length === 0) {
    if (name === undefined) return { kind: 'models' }
    if (name === modelName) return { kind: 'model' }
    throw new InferProblem('NotFound', 'this service has no such model')
  }
  const reason = known.has(area) ? `/v1/${area} is not offered: ` : 'there is no such path: '
  throw new HttpProblem(404, `${reason}this service answers /v1/models and, for embedding models, /v1/embeddings`)
}
