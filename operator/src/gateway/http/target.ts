export type Target = {
  namespace: string
  service: string
  /** Path to send to the worker, query included; starts with `/v2` or `/v1`. */
  workerPath: string
  /** The user's path without its query, for the access log. */
  path: string
}

export type TargetResult = { target: Target } | { status: 400 | 404 | 414; error: string }

const maxTargetLength = 2048
// Unreserved characters and the sub-delimiters that cannot be read in two ways. Names of this API are DNS names and numbers, so
// nothing ever needs percent-encoding; refusing "%" leaves no second decoding to disagree about.
const pathPattern = /^(?:\/[A-Za-z0-9._~:@!$&'()*+,=-]+)+\/?$/
const dotSegment = /\/\.{1,2}(?:\/|$)/
const queryPattern = /^[A-Za-z0-9._~:@!$&'()*+,;=/?%-]*$/
const route = /^\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)(\/v[12](?:\/.*)?)$/

/**
 * Splits a request target (RFC 9112 section 3.2, origin-form only) into service and worker path; an ambiguous path is refused
 * instead of being repaired.
 */
export function parseTarget(requestTarget: string): TargetResult {
  if (requestTarget.length > maxTargetLength) return { status: 414, error: 'the request target is too long' }
  const mark = requestTarget.indexOf('?')
  const path = mark === -1 ? requestTarget : requestTarget.slice(0, mark)
  if (path === '/') return notFound
  if (!pathPattern.test(path) || dotSegment.test(path)) {
    return { status: 400, error: 'the path must be plain: no percent-encoding, empty or dot segments, or backslashes' }
  }
  const query = mark === -1 || mark === requestTarget.length - 1 ? '' : requestTarget.slice(mark)
  if (query !== '' && !queryPattern.test(query)) {
    return { status: 400, error: 'the query holds characters that are not allowed' }
  }
  const match = route.exec(path)
  const [, namespace, service, rest] = match ?? []
  if (namespace === undefined || service === undefined || rest === undefined) return notFound
  return { target: { namespace, service, workerPath: rest + query, path } }
}

const notFound: TargetResult = {
  status: 404,
  error: 'not found: paths have the form /<namespace>/<service>/v2/... or .../v1/...',
}

const openAiTarget = /^\/[^/?]+\/[^/?]+\/v1(?:[/?]|$)/

/** Whether a request target is an OpenAI-style call, whose refusals have the form of that API. */
export function isOpenAiTarget(requestTarget: string): boolean {
  return openAiTarget.test(requestTarget)
}
