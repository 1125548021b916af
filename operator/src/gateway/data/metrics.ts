import { Counter, Gauge, type Registry } from 'prom-client'

/** What the data path counts. Peers are named by our own cluster admin, so that nobody else makes new series. */
export type DataMetrics = {
  sent(peer: string, bytes: number): void
  received(peer: string, bytes: number): void
  /** A peer asked us for a file. */
  asked(peer: string, outcome: 'served' | 'refused' | 'broken'): void
  /** A connection was refused, or cut. */
  refused(reason: 'handshake' | 'not a peer' | 'too many' | 'cut'): void
}

export function dataMetrics(
  registry: Registry,
  connections: () => Iterable<[peer: string, calls: 'ours' | 'theirs']>,
): DataMetrics {
  const registers = [registry]
  new Gauge({
    name: 'hansa_gateway_peer_connections',
    help: 'Connections with gateways of peers, by whose calls go over them.',
    labelNames: ['peer', 'calls'],
    registers,
    collect() {
      this.reset()
      for (const [peer, calls] of connections()) this.inc({ peer, calls })
    },
  })
  const bytes = new Counter({
    name: 'hansa_gateway_peer_bytes_total',
    help: 'Bytes of files sent to peers, and received from them.',
    labelNames: ['peer', 'direction'],
    registers,
  })
  const requests = new Counter({
    name: 'hansa_gateway_peer_requests_total',
    help: 'Files that peers asked for.',
    labelNames: ['peer', 'outcome'],
    registers,
  })
  const refusals = new Counter({
    name: 'hansa_gateway_peer_refusals_total',
    help: 'Connections of peers, or of who pretended to be one, that were refused or cut.',
    labelNames: ['reason'],
    registers,
  })
  return {
    sent: (peer, count) => bytes.inc({ peer, direction: 'sent' }, count),
    received: (peer, count) => bytes.inc({ peer, direction: 'received' }, count),
    asked: (peer, outcome) => requests.inc({ peer, outcome }),
    refused: (reason) => refusals.inc({ reason }),
  }
}
