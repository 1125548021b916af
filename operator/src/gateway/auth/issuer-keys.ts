import { join } from 'node:path'
import { z } from 'zod'
import { type Clock, sleep } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { readStateFile, writeStateFile } from '../../process/state-file.ts'
import { type KeySet, parseKeySet } from './key-set.ts'
import type { KeySource } from './key-source.ts'

export type IssuerKeysDeps = {
  source: KeySource
  stateDir: string
  /** How old keys may be while their issuer cannot be reached. */
  maxStaleSeconds: number
  clock: Clock
  log: Logger
  random: () => number
}

export type CurrentKeys = { issuer: string; keySet: KeySet; fetchedAt: number }

const refreshMs = 300_000
const retryMs = { first: 1000, longest: 60_000 }
const unknownKeyRefreshMs = 30_000

const savedSchema = z.object({ issuer: z.string(), fetchedAt: z.number(), jwks: z.unknown() })

/**
 * The keys of one issuer, kept fresh in the background, in memory and on disk. While the issuer cannot be reached the last keys
 * stay in use for `maxStaleSeconds`, also after a restart.
 */
export class IssuerKeys {
  readonly name: string
  readonly audience: string
  /** Goes up whenever the keys change, so that cached verdicts on tokens end with the key that they rest on. */
  version = 0
  #keys: CurrentKeys | undefined
  #loading: Promise<boolean> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  readonly #deps: IssuerKeysDeps

  constructor(deps: IssuerKeysDeps) {
    this.#deps = deps
    this.name = deps.source.name
    this.audience = deps.source.audience
  }

  /** Undefined before the first load, and once the keys are too old to trust. */
  current(): CurrentKeys | undefined {
    const age = this.ageSeconds()
    return age !== undefined && age <= this.#deps.maxStaleSeconds ? this.#keys : undefined
  }

  /** Whether a token that claims this issuer could be of it; true also while the cluster's issuer is not discovered yet. */
  mayBe(claimedIssuer: string): boolean {
    const issuer = this.#deps.source.issuer ?? this.#keys?.issuer
    return issuer === undefined || issuer === claimedIssuer
  }

  ageSeconds(): number | undefined {
    return this.#keys === undefined ? undefined : Math.max(0, (this.#deps.clock.now() - this.#keys.fetchedAt) / 1000)
  }

  /** Reads the keys that an earlier run saved; false when there are none that fit. */
  async restore(): Promise<boolean> {
    const { source, log } = this.#deps
    try {
      const text = await readStateFile(this.#path())
      if (text === undefined) return false
      const saved = savedSchema.parse(JSON.parse(text))
      if (source.issuer !== undefined && saved.issuer !== source.issuer) return false
      // A clock that went back must not make old keys look new for ever.
      const fetchedAt = Math.min(saved.fetchedAt, this.#deps.clock.now())
      this.#set({ issuer: saved.issuer, keySet: parseKeySet(saved.jwks), fetchedAt })
      return true
    } catch (error) {
      log.warn({ issuer: this.name, error: messageOf(error) }, 'saved keys of the issuer cannot be used')
      return false
    }
  }

  /** Loads now; several callers at once share one load. False when it failed, which is logged. */
  load(signal: AbortSignal): Promise<boolean> {
    this.#loading ??= this.#load(signal).finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  /** For a token with a key that is not known: loads again, at most once in 30 s however many such tokens come. */
  async loadForUnknownKey(signal: AbortSignal): Promise<boolean> {
    if (this.#loading !== undefined) return this.#loading
    if (this.#deps.clock.monotonic() - this.#askedAt < unknownKeyRefreshMs) return false
    this.#askedAt = this.#deps.clock.monotonic()
    return this.load(signal)
  }

  /** Keeps the keys fresh until the signal ends. */
  async keepFresh(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#deps
    let failures = 0
    while (!signal.aborted) {
      failures = (await this.load(signal)) ? 0 : failures + 1
      const base =
        failures === 0 ? refreshMs : Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(failures - 1, 10))
      await sleep(clock, base * (0.8 + 0.4 * random()), signal)
    }
  }

  async #load(signal: AbortSignal): Promise<boolean> {
    const { source, log, clock } = this.#deps
    try {
      const { issuer, jwks } = await source.load(signal)
      const keySet = parseKeySet(jwks)
      this.#set({ issuer, keySet, fetchedAt: clock.now() })
      await writeStateFile(this.#path(), JSON.stringify({ issuer, fetchedAt: clock.now(), jwks: keySet.jwks }))
      return true
    } catch (error) {
      if (!signal.aborted)
        log.warn({ issuer: this.name, error: messageOf(error) }, 'keys of the issuer cannot be loaded')
      return false
    }
  }

  #set(keys: CurrentKeys): void {
    const same =
      this.#keys !== undefined &&
      this.#keys.issuer === keys.issuer &&
      JSON.stringify(this.#keys.keySet.jwks) === JSON.stringify(keys.keySet.jwks)
    if (same && this.#keys !== undefined) {
      this.#keys = { ...this.#keys, fetchedAt: keys.fetchedAt }
      return
    }
    this.#keys = keys
    this.version += 1
  }

  #path(): string {
    return join(this.#deps.stateDir, `jwks-${this.name}.json`)
  }
}
