import type { ClientHttp2Session } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { RevisionCounts } from '../demand/revision-counts.ts'
import type { ReceiptBook } from '../receipts/receipt-book.ts'
import type { RoutedPeer } from '../route/peer-endpoint.ts'
import { type HealthDeps, Upstream, type UpstreamRequest } from '../route/upstream.ts'
import { PeerCall } from './peer-call.ts'

/** How gateways of peers are called. */
export type PeerLines = {
  /** A session on which this peer can be called; undefined when there is none now. */
  callerOf(peerName: string): ClientHttp2Session | undefined
  /** Whether that session has given no sign of life for a moment. */
  isSilent(peerName: string): boolean
  /** Where it is written what peers did for us; without it nothing of it can be proven later. */
  book?: ReceiptBook | undefined
}

export type PeerWorkerDeps = HealthDeps & { namespace: string; service: string; lines: PeerLines }

/** Workers of a service at a peer, reached by its gateway. Without a connection it is ejected, and back when there is one again. */
export class PeerWorker extends Upstream {
  at: RoutedPeer
  readonly #deps: PeerWorkerDeps

  constructor(at: RoutedPeer, counts: RevisionCounts, deps: PeerWorkerDeps) {
    super(counts, deps)
    this.at = at
    this.#deps = deps
  }

  get endpoint() {
    const { requestId, revision, percent } = this.at
    return { pod: requestId, revision, percent }
  }

  get owner(): string {
    return this.at.peer
  }

  get capacity(): number {
    return this.at.replicas
  }

  override isSilent(): boolean {
    return this.#deps.lines.isSilent(this.at.peer)
  }

  override isEjected(): boolean {
    return super.isEjected() || !this.#isConnected || this.isSilent()
  }

  override isOut(): boolean {
    return super.isOut() || !this.#isConnected
  }

  get #isConnected(): boolean {
    return this.#deps.lines.callerOf(this.at.peer) !== undefined
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const { lines, namespace, service } = this.#deps
    new PeerCall({ at: this.at, namespace, service, lines }, request, handler).start()
  }

  // The connections are the data path's, and calls end by themselves.
  async retire(): Promise<void> {}

  async destroy(): Promise<void> {}
}
