import { hash } from 'node:crypto'
import type { Principal } from './principal.ts'

type Entry = { principal: Principal; validUntil: number; stillValid: () => boolean }

/**
 * Verdicts on tokens that were verified before, by the SHA-256 of the token so that no token stays in memory, because a signature
 * check costs many times a look-up. Bounded; the least recently used goes first.
 */
export class TokenCache {
  #entries = new Map<string, Entry>()
  readonly #maxEntries: number

  constructor(maxEntries = 10_000) {
    this.#maxEntries = maxEntries
  }

  get(token: string, nowSeconds: number): Principal | undefined {
    const key = hash('sha256', token, 'base64')
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    if (entry.validUntil <= nowSeconds || !entry.stillValid()) return undefined
    this.#entries.set(key, entry)
    return entry.principal
  }

  set(token: string, entry: Entry): void {
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    this.#entries.set(hash('sha256', token, 'base64'), entry)
  }

  get size(): number {
    return this.#entries.size
  }
}
