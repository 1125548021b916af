import { isIP } from 'node:net'
import { z } from 'zod'
import { HansaError } from '../process/errors.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Repository } from './repository.ts'

/** An answer after redirects; `url` is where it came from. The receiver closes it. */
export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly url: URL
  readonly body: AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** GETs over https; `authorization` goes to the origin of `url` alone and to nothing that it redirects to. */
export type Get = (
  url: URL,
  request: { headers: Record<string, string>; authorization: string | undefined; signal: AbortSignal },
) => Promise<Answer>

/** What opens a registry: a value of the header Authorization, and where else than at home it may be shown. */
export type Credentials = { readonly authorization: string; readonly realmOrigin?: string }

export type SessionDeps = {
  get: Get
  /** Asked only when the registry wants to know. */
  credentials: (signal: AbortSignal) => Promise<Credentials | undefined>
  /** Milliseconds, monotonic. */
  now: () => number
}

const longestTokenAnswer = 64 * 1024
const tokenSchema = z.object({
  token: z.string().max(32_768).optional(),
  access_token: z.string().max(32_768).optional(),
  expires_in: z.number().optional(),
})

/**
 * Reads of one repository (OCI distribution 1.1) with the authentication that its registry asks for. Only the registry itself may
 * ask: what it redirects to may not (CVE-2020-15157). The scope is ours, never the challenge's, so that no token says more than
 * to pull from this repository.
 */
export class RegistrySession {
  readonly #repository: Repository
  readonly #deps: SessionDeps
  #known: { authorization: string; until: number } | undefined

  constructor(repository: Repository, deps: SessionDeps) {
    this.#repository = repository
    this.#deps = deps
  }

  /**
   * GETs `/v2/<name>/<path>`; any status but 401 comes at once, 401 once nothing more can be shown. Throws HansaError with the
   * words of a Model's reasons.
   */
  async open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    const { registry, name } = this.#repository
    const url = new URL(`/v2/${name}/${path}`, registry)
    const { get, now } = this.#deps
    const known = this.#known !== undefined && now() < this.#known.until ? this.#known.authorization : undefined
    const first = await get(url, { headers, authorization: known, signal })
    if (first.status !== 401 || first.url.origin !== registry.origin) return first
    const authorization = await this.#authorise(parseChallenges(first.headers['www-authenticate']), signal).catch(
      async (error: unknown) => {
        await first.close()
        throw error
      },
    )
    if (authorization === undefined) return first
    await first.close()
    return get(url, { headers, authorization, signal })
  }

  async #authorise(challenges: readonly Challenge[], signal: AbortSignal): Promise<string | undefined> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    const credentials = await this.#deps.credentials(signal)
    if (bearer?.params.has('realm')) return this.#fetchToken(bearer, credentials, signal)
    const scheme = bearer === undefined ? 'basic' : 'bearer'
    const offered = challenges.some((challenge) => challenge.scheme === scheme)
    if (!offered || credentials?.authorization.toLowerCase().startsWith(`${scheme} `) !== true) return undefined
    this.#known = { authorization: credentials.authorization, until: Number.POSITIVE_INFINITY }
    return credentials.authorization
  }

  async #fetchToken({ params }: Challenge, credentials: Credentials | undefined, signal: AbortSignal): Promise<string> {
    const { registry, name } = this.#repository
    const realm = realmOf(params.get('realm') ?? '')
    if (credentials !== undefined && !mayKnow(realm, registry, credentials.realmOrigin)) {
      throw new HansaError(
        'SourceForbidden',
        `the registry sends callers to ${realm.host} for a token, which is no neighbour of ${registry.host}; credentials are not shown there`,
        {
          retry: 'after',
          afterSeconds: 300,
          hint: `where that is right, add the key realm with ${realm.origin} to the Secret`,
        },
      )
    }
    const service = params.get('service')
    if (service !== undefined) realm.searchParams.set('service', service.slice(0, 1024))
    realm.searchParams.set('scope', `repository:${name}:pull`)
    const started = this.#deps.now()
    const answer = await this.#deps.get(realm, {
      headers: { accept: 'application/json' },
      authorization: credentials?.authorization,
      signal,
    })
    try {
      if (answer.status !== 200) throw tokenRefused(realm, answer)
      const { token, access_token, expires_in } = parseToken(await readBounded(answer.body, longestTokenAnswer))
      const text = token ?? access_token ?? ''
      if (!/^[\x21-\x7e]+$/.test(text)) throw unusable(realm)
      const authorization = `Bearer ${text}`
      // A minute where nothing is said, as the specification of the token has it; a little less for the way there.
      const seconds = Math.min(Math.max(expires_in ?? 60, 0), 3600) - 5
      this.#known = { authorization, until: started + seconds * 1000 }
      return authorization
    } catch (error) {
      if (error instanceof z.ZodError || error instanceof SyntaxError) throw unusable(realm)
      throw error
    } finally {
      await answer.close()
    }
  }
}

/** Reads a body of at most `most` bytes; throws HansaError `SourceUnreachable` for a longer one. */
export async function readBounded(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > most) throw new HansaError('SourceUnreachable', `the source's answer is larger than ${most} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Seconds of `Retry-After`, which may be a date (RFC 9110 10.2.3); at most an hour. */
export function retryAfterSeconds(header: string | string[] | undefined, now: number): number | undefined {
  const text = String(header ?? '').trim()
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  return seconds > 0 ? Math.min(Math.ceil(seconds), 3600) : undefined
}

/**
 * Whether credentials for a registry may be shown to a token service: on the registry's own host, below it, or under the domain
 * above it, as at registry.gitlab.com and gitlab.com, or where their owner said so.
 */
export function mayKnow(realm: URL, registry: URL, realmOrigin: string | undefined): boolean {
  if (realm.origin === realmOrigin || realm.hostname === registry.hostname) return true
  if (isIP(registry.hostname.replace(/^\[(.*)\]$/, '$1')) > 0) return false
  if (realm.hostname.endsWith(`.${registry.hostname}`)) return true
  const above = registry.hostname.split('.').slice(1).join('.')
  if (!above.includes('.')) return false
  return realm.hostname === above || realm.hostname.endsWith(`.${above}`)
}

function realmOf(text: string): URL {
  const realm = URL.canParse(text) && text.length <= 2048 ? new URL(text) : undefined
  if (realm?.protocol !== 'https:' || realm.username !== '' || realm.password !== '') {
    throw new HansaError('SourceAddressRefused', 'the registry names a token service that is no plain https URL', {
      retry: 'after',
      afterSeconds: 300,
    })
  }
  realm.hash = ''
  return realm
}

function parseToken(bytes: Buffer): z.infer<typeof tokenSchema> {
  return tokenSchema.parse(JSON.parse(bytes.toString('utf8')))
}

function unusable(realm: URL): HansaError {
  return new HansaError('SourceUnreachable', `the token service ${realm.host} answers without a usable token`)
}

function tokenRefused(realm: URL, { status, headers }: Answer): HansaError {
  const message = `the token service ${realm.host} answers ${status}`
  if (status === 400 || status === 401 || status === 403 || status === 404) {
    return new HansaError('SourceForbidden', message, { retry: 'after', afterSeconds: 300 })
  }
  const afterSeconds = retryAfterSeconds(headers['retry-after'], Date.now())
  return new HansaError('SourceUnreachable', message, {
    ...(afterSeconds === undefined ? {} : { retry: 'after', afterSeconds }),
  })
}
