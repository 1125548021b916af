/** Body of an error in the form of OpenAI's API, which its client libraries turn into exceptions of the right class. */
export type OpenAiError = {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly code: string | null
    readonly param: null
  }
}

const words: Readonly<Record<number, readonly [type: string, code: string | null]>> = {
  401: ['authentication_error', 'invalid_api_key'],
  403: ['permission_error', 'permission_denied'],
  404: ['invalid_request_error', 'not_found'],
  413: ['invalid_request_error', 'request_too_large'],
  429: ['rate_limit_error', 'rate_limit_exceeded'],
  503: ['server_error', 'service_unavailable'],
  504: ['server_error', 'timeout'],
}

/** The error for an HTTP status; the message is the same that other protocols give. */
export function openAiError(status: number, message: string): OpenAiError {
  const [type, code] = words[status] ?? [status < 500 ? 'invalid_request_error' : 'server_error', null]
  return { error: { message, type, code, param: null } }
}
