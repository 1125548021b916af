import { KubeApiError } from './api-error.ts'

const messageCharacters = 1_000
const maxRetryAfterSeconds = 3_600

const reasonOfStatus: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** The error for an HTTP answer with a status of 300 or more. */
export function errorOfAnswer(
  status: number,
  retryAfter: string | string[] | undefined,
  body: string,
  request: { readonly method: string; readonly path: string },
): KubeApiError {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    // Proxies answer with pages of their own, which say nothing worth keeping.
    parsed = undefined
  }
  const where = `${request.method} ${request.path.split('?', 1)[0]}`
  return errorOfStatus(parsed, { status, where, headerSeconds: Number(retryAfter) })
}

/** The error for a Status object, be it an answer's body or inside of a watch. */
export function errorOfStatus(
  body: unknown,
  context: { readonly status?: number; readonly where: string; readonly headerSeconds?: number },
): KubeApiError {
  const object = isRecord(body) ? body : {}
  const status = context.status ?? (typeof object.code === 'number' ? object.code : 500)
  const reason =
    typeof object.reason === 'string' && /^[A-Za-z]{1,64}$/.test(object.reason)
      ? object.reason
      : (reasonOfStatus[status] ?? 'UnexpectedStatus')
  const text = typeof object.message === 'string' ? object.message : `status ${status}`
  const details = isRecord(object.details) ? object.details : {}
  const seconds = [context.headerSeconds, details.retryAfterSeconds].find(
    (value): value is number => typeof value === 'number' && Number.isFinite(value) && value > 0,
  )
  return new KubeApiError({
    status,
    reason,
    message: `${context.where}: ${text.slice(0, messageCharacters)}`,
    ...(seconds === undefined ? {} : { afterSeconds: Math.min(seconds, maxRetryAfterSeconds) }),
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
