import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../../kube/clock.ts'
import { KeyTable, keyId } from './access-key.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import { clusterIssuerName } from './key-source.ts'
import type { Principal } from './principal.ts'
import { TokenCache } from './token-cache.ts'

/** `invalid`: the token proves nothing. `unavailable`: its issuer's keys are not known, so nothing can be said. */
export type Verdict = { principal: Principal } | { refused: 'invalid' | 'unavailable' }

const algorithms = ['RS256', 'ES256', 'PS256', 'EdDSA', 'Ed25519']
const leewaySeconds = 30
const maxTokenLength = 8192
const maxGroups = 256
const bearer = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|hansa_[0-9a-z]{16}_[A-Za-z0-9_-]{43}) *$/i
const serviceAccount =
  /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/
const invalid: Verdict = { refused: 'invalid' }

/**
 * The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); undefined when it has none that could be a JWT
 * or the text of an AccessKey.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > maxTokenLength) return undefined
  return bearer.exec(authorization)?.[1]
}

/** Checks JSON Web Tokens (RFC 7519, RFC 8725) of a fixed list of issuers, and access keys. */
export class Authenticator {
  readonly issuers: readonly IssuerKeys[]
  readonly #cache = new TokenCache()
  readonly #clock: Clock
  readonly #keys: KeyTable

  constructor(deps: { issuers: readonly IssuerKeys[]; clock: Clock; keys?: KeyTable }) {
    this.issuers = deps.issuers
    this.#clock = deps.clock
    this.#keys = deps.keys ?? new KeyTable()
  }

  /** Who a token that was verified before stands for: no waiting, no signature check. */
  known(token: string): Principal | undefined {
    const id = keyId(token)
    if (id !== undefined) {
      const entries = this.#keys.find(token, this.#clock.now())
      return entries.length === 0 ? undefined : { kind: 'accessKey', id, entries }
    }
    return this.#cache.get(token, this.#clock.now() / 1000)
  }

  async verify(token: string, signal: AbortSignal): Promise<Verdict> {
    if (keyId(token) !== undefined) {
      const principal = this.known(token)
      if (principal !== undefined) return { principal }
      return this.#keys.isKnown ? invalid : { refused: 'unavailable' }
    }
    const issuerKeys = this.#issuerOf(token)
    if (issuerKeys === 'unavailable') return { refused: 'unavailable' }
    if (issuerKeys === undefined) return invalid
    const version = issuerKeys.version
    const first = await this.#check(token, issuerKeys)
    if (first !== 'unknownKey') return first
    await issuerKeys.loadForUnknownKey(signal)
    if (issuerKeys.version === version) return invalid
    const second = await this.#check(token, issuerKeys)
    return second === 'unknownKey' ? invalid : second
  }

  /** The unverified `iss` only chooses whose keys must verify it. */
  #issuerOf(token: string): IssuerKeys | 'unavailable' | undefined {
    let claimed: string | undefined
    try {
      claimed = decodeJwt(token).iss
    } catch {
      return undefined // not a JWT: the caller answers 401
    }
    if (typeof claimed !== 'string') return undefined
    const issuer = this.issuers.find((candidate) => candidate.mayBe(claimed))
    return issuer === undefined || issuer.current() !== undefined ? issuer : 'unavailable'
  }

  async #check(token: string, issuerKeys: IssuerKeys): Promise<Verdict | 'unknownKey'> {
    const keys = issuerKeys.current()
    if (keys === undefined) return { refused: 'unavailable' }
    const version = issuerKeys.version
    try {
      const { payload } = await jwtVerify(token, keys.keySet.resolve, {
        algorithms,
        issuer: keys.issuer,
        audience: issuerKeys.audience,
        clockTolerance: leewaySeconds,
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(this.#clock.now()),
      })
      const principal = principalOf(payload, issuerKeys.name)
      if (principal === undefined) return invalid
      this.#cache.set(token, {
        principal,
        validUntil: (payload.exp ?? 0) + leewaySeconds,
        stillValid: () => issuerKeys.version === version && issuerKeys.current() !== undefined,
      })
      return { principal }
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return 'unknownKey'
      return invalid // the reason would only help a forger
    }
  }
}

function principalOf({ sub, groups }: JWTPayload, issuerName: string): Principal | undefined {
  // jose declares `sub` a string but lets any JSON value through.
  if (typeof sub !== 'string' || sub.length === 0 || sub.length > 512) return undefined
  if (issuerName !== clusterIssuerName) {
    const named = Array.isArray(groups) ? groups.filter((group) => typeof group === 'string').slice(0, maxGroups) : []
    return { kind: 'oidc', issuerName, subject: sub, groups: named }
  }
  const [, namespace, name] = serviceAccount.exec(sub) ?? []
  return namespace === undefined || name === undefined ? undefined : { kind: 'serviceAccount', namespace, name }
}
