import type { Route } from '../route/route.ts'
import type { HoldEnd } from './hold-queue.ts'

/**
 * Waits in the line of a route; see `Route.mustWait`. Resolves when the request may go to a worker, or is refused; undefined when the
 * signal ended the wait, which gives the place back at once. `deadline` in monotonic milliseconds; `heldUntil` of an earlier wait of
 * the same request keeps both waits together within `holdSeconds`.
 */
export function hold(
  route: Route,
  request: { caller: string; deadline: number; bytes: number; heldUntil?: number },
  signal: AbortSignal,
): Promise<HoldEnd | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(undefined)
      return
    }
    let leave = () => {}
    const abort = () => {
      leave()
      resolve(undefined)
    }
    signal.addEventListener('abort', abort, { once: true })
    const until = request.heldUntil ?? route.holdUntil(request.deadline)
    leave = route.hold.wait({ caller: request.caller, until, bytes: request.bytes }, (end) => {
      signal.removeEventListener('abort', abort)
      resolve(end)
    })
  })
}
