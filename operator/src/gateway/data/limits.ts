import { tokenBuckets } from '../../identity/token-buckets.ts'
import type { Clock } from '../../kube/clock.ts'

export type PeerLimits = {
  /** Files that one peer may get at once, over all its connections. */
  maxStreams: number
  /** Requests of its users that one peer may have under way at once. */
  maxRequests: number
  /** What all transfers to one peer together may take. */
  bytesPerSecond: number
  /** A reader that takes nothing, or hardly anything, for so long is cut. */
  stallSeconds: number
}

const requestBurst = 100
const requestsPerSecond = 10
const maxPeers = 10_000

/** What each peer has under way: one that asks for too much, or reads slowly, takes nothing from the others. */
export class PeerUse {
  readonly #streams = new Map<string, number>()
  readonly #bytes = new Map<string, { debt: number; at: number }>()
  readonly #requests: ReturnType<typeof tokenBuckets>
  readonly #limits: PeerLimits
  readonly #clock: Clock

  constructor(limits: PeerLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    const rate = { burst: requestBurst, perSecond: requestsPerSecond, maxKeys: maxPeers }
    this.#requests = tokenBuckets({ ...rate, clock: () => clock.monotonic() })
  }

  /** Counts a request; false when the peer makes too many. */
  mayAsk(peerName: string): boolean {
    return this.#requests.take(peerName) === 0
  }

  /** Takes a place for a transfer; undefined when the peer has all of its places in use. Call what it gives once. */
  enter(peerName: string): (() => void) | undefined {
    const count = this.#streams.get(peerName) ?? 0
    if (count >= this.#limits.maxStreams) return undefined
    this.#streams.set(peerName, count + 1)
    return () => {
      const left = (this.#streams.get(peerName) ?? 1) - 1
      if (left === 0) this.#streams.delete(peerName)
      else this.#streams.set(peerName, left)
    }
  }

  /** Counts bytes on their way to a peer, and tells how long (milliseconds) the next ones must wait. */
  spend(peerName: string, bytes: number): number {
    const { bytesPerSecond } = this.#limits
    const now = this.#clock.monotonic()
    const { debt, at } = this.#bytes.get(peerName) ?? { debt: 0, at: now }
    const owed = Math.max(0, debt - ((now - at) / 1000) * bytesPerSecond) + bytes
    this.#bytes.set(peerName, { debt: owed, at: now })
    // A tenth of a second is free, so that small files never wait.
    return Math.max(0, (owed / bytesPerSecond) * 1000 - 100)
  }

  /** Transfers of a peer that are under way. */
  streams(peerName: string): number {
    return this.#streams.get(peerName) ?? 0
  }
}
