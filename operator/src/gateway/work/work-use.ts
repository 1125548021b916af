import { Counter, Gauge, type Registry } from 'prom-client'

/** What peers have under way of their users' requests: one that asks for too much takes nothing from the others. */
export class WorkUse {
  readonly #underWay = new Map<string, number>()
  readonly #maxRequests: number
  readonly #bytes: Counter<'peer' | 'direction'>
  readonly #refused: Counter<'peer'>

  constructor(maxRequests: number, registry: Registry) {
    this.#maxRequests = maxRequests
    const underWay = this.#underWay
    const registers = [registry]
    new Gauge({
      name: 'hansa_gateway_guest_in_flight',
      help: "Requests of peers' users that are being answered here.",
      labelNames: ['peer'],
      registers,
      collect() {
        this.reset()
        for (const [peer, count] of underWay) this.set({ peer }, count)
      },
    })
    this.#bytes = new Counter({
      name: 'hansa_gateway_guest_bytes_total',
      help: "Bytes of bodies of peers' users' requests (received) and of the answers to them (sent).",
      labelNames: ['peer', 'direction'],
      registers,
    })
    this.#refused = new Counter({
      name: 'hansa_gateway_guest_refusals_total',
      help: "Requests of peers' users that were refused before a worker was chosen.",
      labelNames: ['peer'],
      registers,
    })
  }

  /** Takes a place; undefined when the peer has all of its places in use. Call what it gives once. */
  enter(peer: string): (() => void) | undefined {
    const count = this.#underWay.get(peer) ?? 0
    if (count >= this.#maxRequests) return undefined
    this.#underWay.set(peer, count + 1)
    return () => {
      const left = (this.#underWay.get(peer) ?? 1) - 1
      if (left === 0) this.#underWay.delete(peer)
      else this.#underWay.set(peer, left)
    }
  }

  bytes(peer: string, direction: 'sent' | 'received', bytes: number): void {
    this.#bytes.inc({ peer, direction }, bytes)
  }

  refused(peer: string): void {
    this.#refused.inc({ peer })
  }
}
