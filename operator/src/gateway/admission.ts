import type { KeyEntry } from './auth/access-key.ts'
import { keyFailures, keyLimited } from './auth/key-limited.ts'
import { keyFor, type Principal } from './auth/principal.ts'
import type { Refusal } from './http/refuse.ts'
import type { Route } from './route/route.ts'

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

export const queuesFull: Refusal = {
  status: 429,
  error: 'the queues of all workers are full; try again later',
  headers: { 'retry-after': '1' },
}

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

/** The AccessKey that counts, where the caller has one; and either why the request is refused, or how its places are given back. */
export type Admission = { key: KeyEntry | undefined } & (
  | { refusal: Refusal; failure: string }
  | { leave: () => void; refusal?: undefined }
)

/** Takes the places that a request needs: of its service, of the gateway, and of the caller's key; `now` in monotonic milliseconds. */
export function admit(route: Route, principal: Principal, capacity: Capacity, now: number): Admission {
  const { namespace, service, inFlight } = route.spec
  const key = keyFor(principal, namespace, service)
  const full: Admission = { key, refusal: busy, failure: 'TooManyInFlight' }
  if (route.isSaturated()) return { key, refusal: queuesFull, failure: 'QueuesFull' }
  if (route.inFlight >= inFlight || !capacity.take()) return full
  const limited = key?.usage.enter(now)
  if (limited !== undefined) {
    capacity.give()
    return { key, refusal: keyLimited(limited), failure: keyFailures[limited.limit] }
  }
  const leave = () => {
    capacity.give()
    key?.usage.leave()
  }
  return { key, leave }
}
