import type { Refusal } from './http/refuse.ts'

// The words with which a request is refused before it is forwarded, the same over HTTP and gRPC.

export const unauthenticated: Refusal = {
  status: 401,
  error: 'send a valid token: Authorization: Bearer <JWT>',
  headers: { 'www-authenticate': 'Bearer realm="hansa"' },
}
export const badToken: Refusal = {
  status: 401,
  error: 'the token is not valid here: wrong issuer, audience, signature or time',
  headers: { 'www-authenticate': 'Bearer realm="hansa", error="invalid_token"' },
}
export const keysUnknown: Refusal = {
  status: 503,
  error: 'the keys of the token issuer are not known yet',
  headers: { 'retry-after': '2' },
}
// One answer for services that do not exist and for those that the caller may not use, so that nobody can list what exists.
export const forbidden: Refusal = {
  status: 403,
  error: 'the caller is not listed in spec.access of this service, or there is none',
}
export const busy: Refusal = { status: 429, error: 'too many requests at once', headers: { 'retry-after': '1' } }

/** Places for requests under way, all services and both protocols together. */
export class Capacity {
  #taken = 0
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  /** False when all places are taken. */
  take(): boolean {
    if (this.#taken >= this.#most) return false
    this.#taken += 1
    return true
  }

  give(): void {
    this.#taken -= 1
  }
}
