import type { ByteBudget } from '../hold/byte-budget.ts'

/** How much of an answer of a revision that is being tried is kept back until it is whole. */
const keptAnswerBytes = 256 * 1024

/** An answer that nobody has seen yet, so that another can still take its place when it breaks off. */
export class KeptAnswer {
  readonly chunks: Buffer[] = []
  #bytes = 0
  #taken = 0
  readonly status: number
  readonly headers: string[]
  readonly #budget: ByteBudget

  constructor(status: number, headers: string[], budget: ByteBudget) {
    this.status = status
    this.headers = headers
    this.#budget = budget
  }

  /** False when it cannot be kept any longer; the chunk is then part of it still. */
  add(chunk: Buffer): boolean {
    this.chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > keptAnswerBytes || !this.#budget.take(chunk.length)) return false
    this.#taken += chunk.length
    return true
  }

  /** Gives its room back. */
  free(): void {
    this.#budget.give(this.#taken)
    this.#taken = 0
  }
}
