const share = 0.2
const most = 100
const reserve = 10
const trickleMs = 1000

/** Retries that one service may still make: a fifth of its requests, and one a second so that quiet services can retry too. */
export class RetryBudget {
  #tokens = reserve
  #trickledAt: number
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
    this.#trickledAt = now()
  }

  deposit(): void {
    this.#tokens = Math.min(most, this.#tokens + share)
  }

  withdraw(): boolean {
    const trickled = Math.floor((this.#now() - this.#trickledAt) / trickleMs)
    if (trickled > 0) {
      this.#trickledAt += trickled * trickleMs
      if (this.#tokens < reserve) this.#tokens = Math.min(reserve, this.#tokens + trickled)
    }
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
