export type KeyLimits = { requestsPerMinute: number | undefined; inFlight: number | undefined }
export type KeyRefusal = { limit: 'requestsPerMinute' | 'inFlight'; retryAfterSeconds: number }

const minuteMs = 60_000
const burstShare = 6 // a sixth of a minute's requests may come at once

/** What one AccessKey uses of its limits in this gateway: a token bucket for the rate, a count for what is under way. */
export class KeyUsage {
  limits: KeyLimits = { requestsPerMinute: undefined, inFlight: undefined }
  #inFlight = 0
  #tokens: number | undefined
  #filledAt = 0

  get inFlight(): number {
    return this.#inFlight
  }

  /** Takes one request in, to be ended by `leave`; or says which limit forbids it. `now` in monotonic milliseconds. */
  enter(now: number): KeyRefusal | undefined {
    const { requestsPerMinute, inFlight } = this.limits
    if (inFlight !== undefined && this.#inFlight >= inFlight) return { limit: 'inFlight', retryAfterSeconds: 1 }
    if (requestsPerMinute !== undefined) {
      const most = Math.max(1, requestsPerMinute / burstShare)
      const perMs = requestsPerMinute / minuteMs
      const before = this.#tokens ?? most
      const tokens = Math.min(most, before + (now - this.#filledAt) * perMs)
      this.#filledAt = now
      this.#tokens = tokens
      if (tokens < 1) {
        return { limit: 'requestsPerMinute', retryAfterSeconds: Math.max(1, Math.ceil((1 - tokens) / perMs / 1000)) }
      }
      this.#tokens = tokens - 1
    }
    this.#inFlight += 1
    return undefined
  }

  leave(): void {
    this.#inFlight -= 1
  }
}
