import { callerName, type Principal } from '../auth/principal.ts'
import type { HoldOutcome } from '../forward/exchange.ts'
import { holdRefusal } from '../hold/hold-refusal.ts'
import type { Route } from '../route/route.ts'
import type { Call } from './call.ts'

export type HoldCallDeps = {
  /** Monotonic milliseconds. */
  now: () => number
  onHeld: (route: Route, outcome: HoldOutcome, heldMs: number | undefined) => void
}

/** The waits of one call for its service to wake. */
export class HoldCall {
  /** The call has had its turn, so it goes ahead of those that wait. */
  isReleased = false
  #until: number | undefined
  #since = 0
  #cancel: (() => void) | undefined
  readonly #call: Call
  readonly #route: Route
  readonly #principal: Principal
  readonly #deps: HoldCallDeps

  constructor(call: Call, route: Route, principal: Principal, deps: HoldCallDeps) {
    this.#call = call
    this.#route = route
    this.#principal = principal
    this.#deps = deps
  }

  /** Whether the call must line up before it may look for a worker. */
  get mustWait(): boolean {
    return !this.isReleased && this.#route.mustWait()
  }

  /** Whether it may line up (again) after a refusal: the worker went away, or has only come up and its queue is full. */
  mayWait(unreachable: boolean): boolean {
    const { mayHold, ownWorkers: workers } = this.#route
    if (!mayHold) return false
    if (!unreachable && this.#call.reply.heldMs === undefined && workers.some((worker) => !worker.isEjected()))
      return false
    return this.#until === undefined || this.#until > this.#deps.now()
  }

  /** Lines up; `go` is called when it is the call's turn, else the call is refused. `deadline` is in monotonic milliseconds. */
  wait(bytes: number, deadline: number, go: () => void): void {
    this.#until ??= this.#route.holdUntil(deadline)
    this.#since = this.#deps.now()
    let ended = false
    const cancel = this.#route.hold.wait({ caller: callerName(this.#principal), until: this.#until, bytes }, (end) => {
      ended = true
      this.#cancel = undefined
      const outcome = end.released ? 'released' : end.reason
      if (outcome !== 'full') this.#call.reply.heldMs = (this.#call.reply.heldMs ?? 0) + end.heldMs
      this.#deps.onHeld(this.#route, outcome, this.#call.reply.heldMs)
      if (end.released) {
        this.isReleased = true
        go()
        return
      }
      const { refusal, failure } = holdRefusal(end, this.#route.spec.holdSeconds)
      this.#call.refuse(refusal, failure)
    })
    // A full queue refuses before it returns.
    if (!ended) this.#cancel = cancel
  }

  /** Gives the place in the line back; the call has ended. */
  leave(): void {
    if (this.#cancel === undefined) return
    this.#cancel()
    this.#cancel = undefined
    this.#call.reply.heldMs = (this.#call.reply.heldMs ?? 0) + this.#deps.now() - this.#since
    this.#deps.onHeld(this.#route, 'left', this.#call.reply.heldMs)
  }

  /** For the next request of a stream. */
  reset(): void {
    this.isReleased = false
    this.#until = undefined
  }
}
