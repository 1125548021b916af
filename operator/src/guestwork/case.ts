import type { GuestWork } from '../api/guest-work.ts'
import type { LeaseStep } from '../grant/executor.ts'
import type { Now } from '../grant/timing.ts'
import type { Clock } from '../kube/clock.ts'
import type { Live } from '../kube/resource.ts'
import type { Seen } from './look.ts'

/** Everything about one GuestWork at one moment, for the steps that act on it. */
export type Case = {
  readonly guest: Live<GuestWork>
  readonly seen: Seen
  readonly step: LeaseStep | undefined
  readonly now: Now
  readonly signal: AbortSignal
}

/** When to look again, in milliseconds from now. */
export type Later = { readonly afterMs?: number }

/** Both clocks at this moment. */
export function nowOf(clock: Clock): Now {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() }
}
