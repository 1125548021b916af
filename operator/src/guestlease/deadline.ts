import type { Clock } from '../kube/clock.ts'
import type { GuestLease } from './lease.ts'

/**
 * Until when guest work may go on, by the monotonic clock of whoever enforces it: `ttlSeconds` after a renewal was first seen, and
 * never past `expires` by the wall clock. What is older than what was seen before extends nothing, nor does reading the same twice.
 */
export class LeaseDeadline {
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  #seen: Pick<GuestLease, 'epoch' | 'renewals'> = { epoch: -1, renewals: -1 }
  #endsAt = 0

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#clock = clock
  }

  /** Takes what was read; undefined (nothing, or nothing readable) changes nothing. */
  see(lease: GuestLease | undefined): void {
    if (lease === undefined || isOlder(lease, this.#seen)) return
    const isNew = isOlder(this.#seen, lease)
    const now = this.#clock.monotonic()
    const untilExpiry = now + Date.parse(lease.expires) - this.#clock.now()
    const endsAt = Math.min(now + lease.ttlSeconds * 1000, untilExpiry)
    this.#endsAt = isNew ? endsAt : Math.min(this.#endsAt, endsAt)
    this.#seen = { epoch: lease.epoch, renewals: lease.renewals }
  }

  /** Milliseconds that are left; 0 when there is no lease, or it is over. */
  get left(): number {
    return this.#seen.epoch < 0 ? 0 : Math.max(0, this.#endsAt - this.#clock.monotonic())
  }

  /** Epoch of the newest lease that was seen. */
  get epoch(): number | undefined {
    return this.#seen.epoch < 0 ? undefined : this.#seen.epoch
  }
}

function isOlder(a: Pick<GuestLease, 'epoch' | 'renewals'>, b: Pick<GuestLease, 'epoch' | 'renewals'>): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.renewals < b.renewals)
}
