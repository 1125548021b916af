import { Counter, Gauge, type Registry } from 'prom-client'
import type { LinkConnection } from './connection.ts'

export type LinkMetrics = {
  connections(peer: string, connections: readonly LinkConnection[]): void
  refused(reason: string): void
  called(path: string, result: string): void
  dialled(peer: string, result: string): void
  delivered(kind: string, result: 'taken' | 'refused' | 'failed'): void
  received(kind: string): void
}

export function createLinkMetrics(registry: Registry): LinkMetrics {
  const registers = [registry]
  const connections = new Gauge({
    name: 'hansa_link_connections',
    help: 'Connections to links of peers.',
    labelNames: ['peer', 'direction', 'purpose'],
    registers,
  })
  const connected = new Gauge({
    name: 'hansa_link_peer_connected',
    help: '1 while the peer can be called.',
    labelNames: ['peer'],
    registers,
  })
  const refusals = new Counter({
    name: 'hansa_link_refused_total',
    help: 'Connections, calls and messages that were refused.',
    labelNames: ['reason'],
    registers,
  })
  const calls = new Counter({
    name: 'hansa_link_calls_total',
    help: 'Calls to peers by their result.',
    labelNames: ['method', 'result'],
    registers,
  })
  const dials = new Counter({
    name: 'hansa_link_dials_total',
    help: 'Attempts to connect to a peer.',
    labelNames: ['peer', 'result'],
    registers,
  })
  const delivered = new Counter({
    name: 'hansa_link_delivered_total',
    help: 'Messages handed to peers.',
    labelNames: ['kind', 'result'],
    registers,
  })
  const received = new Counter({
    name: 'hansa_link_received_total',
    help: 'Messages taken from peers.',
    labelNames: ['kind'],
    registers,
  })
  return {
    connections(peer, all) {
      for (const direction of ['Outbound', 'Inbound'] as const) {
        for (const purpose of ['control', 'reverse'] as const) {
          const count = all.filter((each) => each.direction === direction && each.purpose === purpose).length
          connections.set({ peer, direction, purpose }, count)
        }
      }
      connected.set({ peer }, all.some((each) => each.usable()) ? 1 : 0)
    },
    refused: (reason) => refusals.inc({ reason }),
    called: (path, result) => calls.inc({ method: path.slice(path.lastIndexOf('/') + 1), result: oneWord(result) }),
    dialled: (peer, result) => dials.inc({ peer, result }),
    delivered: (kind, result) => delivered.inc({ kind, result }),
    received: (kind) => received.inc({ kind }),
  }
}

const ownResults = new Set(['OK', 'Disconnected', 'NoAnswer', 'NotConnected', 'Cancelled', 'AnswerMalformed'])

/** A reason that a peer made up must not become a series of its own. */
function oneWord(result: string): string {
  return ownResults.has(result) ? result : 'Refused'
}
