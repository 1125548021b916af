import type { Refusal } from '../http/refuse.ts'
import type { HoldEnd } from './hold-queue.ts'

export const heldHeader = 'x-hansa-held-ms'

/** What a request is told that waited in vain, and the word for log and metrics; the same over HTTP and gRPC. */
export function holdRefusal(
  end: HoldEnd & { released: false },
  holdSeconds: number,
): { refusal: Refusal; failure: string } {
  const headers = { 'retry-after': `${end.retryAfterSeconds}` }
  switch (end.reason) {
    case 'full':
      return {
        refusal: { status: 429, error: 'too many requests wait for the service to wake', headers },
        failure: 'TooManyHeld',
      }
    case 'waited':
      return {
        refusal: { status: 503, error: `the service did not wake within ${holdSeconds} s`, headers },
        failure: 'NotAwake',
      }
    case 'closed':
      return { refusal: { status: 503, error: 'the service has no ready worker', headers }, failure: 'NoReadyWorker' }
    case 'draining':
      return {
        refusal: { status: 503, error: 'the gateway is shutting down', headers: { 'retry-after': '1' } },
        failure: 'Draining',
      }
    default:
      return end.reason satisfies never
  }
}
