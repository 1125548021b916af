import type { ServerHttp2Stream } from 'node:http2'
import type { GuestWork } from '../../api/guest-work.ts'
import { localName } from '../../guestwork/names.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Store } from '../../kube/store.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import { admit, type Capacity } from '../admission.ts'
import type { PeerHandler } from '../data/serve-peer.ts'
import { Exchange, type ExchangeDeps, type ExchangeResult } from '../forward/exchange.ts'
import type { Finished } from '../handle-request.ts'
import { parseTarget, type Target } from '../http/target.ts'
import { continueTrace, requestIdFrom } from '../http/trace-context.ts'
import type { ReceiptBook } from '../receipts/receipt-book.ts'
import type { Route } from '../route/route.ts'
import type { RouteTable } from '../route/route-table.ts'
import { type GuestHead, readGuestHead } from './guest-head.ts'
import { GuestStream } from './guest-stream.ts'
import type { GuestTerms } from './guest-terms.ts'
import { refusedHeader } from './headers.ts'
import { judgeGuest, type WorkRefusal } from './judge-guest.ts'
import { receiptText, sealReceipt } from './seal-receipt.ts'
import type { WorkUse } from './work-use.ts'

export type WorkServerDeps = {
  /** Index `requestId`. */
  guests: Pick<Store<GuestWork, 'requestId'>, 'byIndex'>
  termsOf: (guest: GuestWork) => GuestTerms | undefined
  routes: RouteTable
  capacity: Capacity
  use: WorkUse
  /** Without it work is done that cannot be proven later. */
  book: ReceiptBook | undefined
  stallSeconds: number
  exchange: Omit<ExchangeDeps, 'onDone'>
  onFinished: (finished: Finished) => void
  isDraining: () => boolean
  randomHex: (bytes: number) => string
  clock: Clock
  log: Logger
}

export type WorkServer = {
  handle: PeerHandler
  /** Resolves when the last request under way has ended, at the latest when the signal aborts. */
  drained(signal: AbortSignal): Promise<void>
}

/** Serves requests of peers' users under leases that we granted: the way of our own users' requests, once they are let in. */
export function createWorkServer(deps: WorkServerDeps): WorkServer {
  const { guests, routes, capacity, use, book, clock, log } = deps
  const now = () => clock.monotonic()
  let underWay = 0
  const idle = new Set<() => void>()

  function refuse(peer: string, stream: ServerHttp2Stream, refusal: WorkRefusal): void {
    const { status, reason, message, retryAfterSeconds } = refusal
    log.info({ peer, reason }, 'refused a request of a peer')
    use.refused(peer)
    if (stream.destroyed || stream.closed) return
    stream.respond({
      ':status': status,
      'content-type': 'application/json',
      [refusedHeader]: reason,
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    })
    // Whatever of a body is on its way is of no use.
    stream.end(JSON.stringify({ reason, error: message }), () => stream.close())
  }

  /** Everything before a worker is chosen. */
  function letIn(peer: string, guest: GuestHead) {
    const { requestId } = guest
    const work = guests.byIndex('requestId', requestId).find(({ spec }) => spec.peerRef.name === peer)
    const { namespace = '', inferenceServiceName = '' } = work?.status?.local ?? {}
    const route = routes.get(namespace, inferenceServiceName)
    const terms = work === undefined ? undefined : deps.termsOf(work)
    const label = work === undefined ? '' : localName(work)
    const problem = book?.problem('Executor', { peer, requestId, epoch: guest.epoch })
    const judged = judgeGuest({ peer, guest, work, label, terms, route, problem, isDraining: deps.isDraining() })
    if ('status' in judged) return { refusal: judged }
    const parsed = parseTarget(`/${namespace}/${inferenceServiceName}${guest.workerPath}`)
    if (!('target' in parsed)) return { refusal: { status: 400, reason: 'HeadInvalid', message: parsed.error } }
    if ((guest.head.contentLength ?? 0) > judged.route.spec.requestBytes) {
      const message = `the body is larger than ${judged.route.spec.requestBytes} bytes`
      return { refusal: { status: 413, reason: 'RequestTooLarge', message } }
    }
    return { ...judged, target: parsed.target }
  }

  function handle(peer: string, stream: ServerHttp2Stream, headers: Parameters<PeerHandler>[2]): void {
    const guest = readGuestHead(headers)
    if (typeof guest === 'string') {
      refuse(peer, stream, { status: 400, reason: 'HeadInvalid', message: guest })
      return
    }
    const entry = letIn(peer, guest)
    if ('refusal' in entry) {
      refuse(peer, stream, entry.refusal)
      return
    }
    const busy = { status: 429, reason: 'TooManyRequests', message: 'too many requests at once', retryAfterSeconds: 1 }
    const leave = use.enter(peer)
    if (leave === undefined) {
      refuse(peer, stream, busy)
      return
    }
    const admission = admit(entry.route, { kind: 'peer', name: peer }, capacity, now())
    if (admission.refusal !== undefined) {
      leave()
      refuse(peer, stream, { ...busy, reason: admission.failure })
      return
    }
    forward(peer, stream, guest, entry, () => {
      admission.leave()
      leave()
    })
  }

  function forward(
    peer: string,
    stream: ServerHttp2Stream,
    guest: GuestHead,
    { route, terms, target }: { route: Route; terms: GuestTerms; target: Target },
    leave: () => void,
  ): void {
    const { head, method } = guest
    const startedAt = now()
    const requestId = requestIdFrom(head.requestId, deps.randomHex)
    const trace = continueTrace(head.traceparent, head.tracestate, deps.randomHex)
    const { stallSeconds } = deps
    const onBytes = (direction: 'sent' | 'received', bytes: number) => use.bytes(peer, direction, bytes)
    const side = new GuestStream(stream, method, { clock, stallSeconds, hasReceipt: book !== undefined, onBytes })
    const principal = { kind: 'peer', name: peer } as const
    const { request, response } = side
    const deadline = startedAt + Math.min(route.spec.requestSeconds * 1000, head.timeoutMs ?? Number.POSITIVE_INFINITY)
    underWay += 1
    const onDone = (_input: unknown, result: ExchangeResult) => {
      deps.onFinished({ requestId, method, startedAt, result, target, trace, principal, route })
      seal(peer, side, guest, terms, result)
        .catch((error: unknown) => {
          // What cannot be proven is not given: the end of the answer does not go out.
          log.error({ peer, error: messageOf(error) }, 'a receipt could not be written')
          stream.close()
        })
        .finally(() => {
          underWay -= 1
          if (underWay === 0) for (const done of idle) done()
          leave()
        })
    }
    const input = { request, response, head, target, trace, requestId, principal, route, deadline, isGuest: true }
    new Exchange(input, { ...deps.exchange, onDone }).start()
  }

  async function seal(
    peer: string,
    side: GuestStream,
    guest: GuestHead,
    terms: GuestTerms,
    result: ExchangeResult,
  ): Promise<void> {
    const digests = side.digests()
    if (book === undefined || digests === undefined || side.isRefused || result.attempts === 0) {
      await side.finish(undefined)
      return
    }
    const { requestBytes, responseBytes } = side
    const status = side.isGone || result.status === 499 ? 499 : side.status
    const counted = { requestBytes, responseBytes, status, busyMs: result.busyMs, ended: clock.now() }
    const receipt = sealReceipt(guest, terms, digests, counted)
    await book.served(peer, receipt, guest.receipt.salt)
    await side.finish(receiptText(receipt))
  }

  return {
    handle,
    drained: (signal) =>
      new Promise((resolve) => {
        const done = () => {
          idle.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        if (underWay === 0 || signal.aborted) return resolve()
        idle.add(done)
        signal.addEventListener('abort', done)
      }),
  }
}
