import { Agent, request } from 'undici'
import type { KeyAndCertificate } from './certificates.ts'

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query, as in `/api/v1/namespaces?limit=1`. */
  readonly path: string
  readonly body?: unknown
  /** Default: JSON; for PATCH a merge patch. */
  readonly contentType?: string
  /** Acts as this bearer token instead of as the administrator. */
  readonly token?: string
  readonly timeoutMilliseconds?: number
}

export interface ApiResponse {
  readonly status: number
  /** Parsed where it is JSON, else the text. */
  readonly body: unknown
}

export interface ApiClient {
  send(request: ApiRequest): Promise<ApiResponse>
  close(): Promise<void>
}

/** A minimal client for tests: one request, one answer, no retries. Without `caPem` the system's authorities count. */
export function createApiClient(serverUrl: string, caPem: string, admin?: KeyAndCertificate): ApiClient {
  // A client certificate beats a bearer token at the API server, so requests with a token need connections without one.
  const trust = caPem === '' ? {} : { ca: caPem }
  const anonymous = new Agent({ connect: trust })
  const asAdmin = new Agent({ connect: { ...trust, ...(admin ? { cert: admin.certPem, key: admin.keyPem } : {}) } })
  return {
    async send({ method = 'GET', path, body, contentType, token, timeoutMilliseconds = 30_000 }) {
      const type = contentType ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
      const response = await request(`${serverUrl}${path}`, {
        method,
        dispatcher: token === undefined ? asAdmin : anonymous,
        signal: AbortSignal.timeout(timeoutMilliseconds),
        headers: {
          // Not everything is plain JSON: the token signing keys are application/jwk-set+json.
          accept: 'application/json, */*',
          'user-agent': 'hansa-test-cluster',
          ...(body === undefined ? {} : { 'content-type': type }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.body.text()
      const isJson = String(response.headers['content-type'] ?? '').includes('json')
      return { status: response.statusCode, body: isJson ? JSON.parse(text) : text }
    },
    async close() {
      await Promise.all([anonymous.destroy(), asAdmin.destroy()])
    },
  }
}
