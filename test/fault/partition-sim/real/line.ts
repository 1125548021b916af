import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkConnection } from '@hansa/operator/link/connection.ts'
import { CallError, codes } from '@hansa/operator/link/transport/call-error.ts'
import type { Route } from '@hansa/operator/link/transport/callee.ts'
import { protocolVersions } from '@hansa/operator/link/versions.ts'
import { kindOfCode } from '@hansa/operator/link/wire/messages.ts'
import { deliver, type Method } from '@hansa/operator/link/wire/methods.ts'
import { type Dice, type Noise, quiet } from './faults.ts'

export type Role = 'requester' | 'executor'
export const otherRole = (role: Role): Role => (role === 'requester' ? 'executor' : 'requester')

/** Who answers at one end of a line, while its link is up. */
export type End = { routes: (connection: LinkConnection) => readonly Route[]; changed: () => void }

export type Delivered = { to: Role; kind: string; requestId: string; sequence: number; envelope: string }

const lostMilliseconds = 700

/**
 * Takes the place of the TLS connections between two links: calls go through the real codecs and handlers, and the line loses, delays,
 * repeats and reorders them.
 */
export class Line {
  readonly counts = new Map<string, number>()
  noise: Noise = quiet
  readonly #dice: Dice
  readonly #ends = new Map<Role, End>()
  readonly #connections = new Map<Role, LinkConnection>()
  readonly #principals: Record<Role, LinkConnection['principal']>
  readonly #newest = new Map<string, number>()
  readonly #onDelivered: (message: Delivered) => void
  /** Towards whom nothing comes through. */
  readonly #cut = new Set<Role>()
  #whole = true

  constructor(
    dice: Dice,
    principals: Record<Role, LinkConnection['principal']>,
    onDelivered: (message: Delivered) => void,
  ) {
    this.#dice = dice
    this.#principals = principals
    this.#onDelivered = onDelivered
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  attach(role: Role, end: End): void {
    this.#ends.set(role, end)
    this.#connect()
  }

  detach(role: Role): void {
    this.#ends.delete(role)
    this.#connect()
  }

  /** `Both`: the connection is gone. Else nothing comes through towards that side, and nobody is told. */
  cut(towards: Role | 'Both'): void {
    if (towards === 'Both') {
      this.#whole = false
      this.#connect()
    } else this.#cut.add(towards)
  }

  heal(): void {
    this.#whole = true
    this.#cut.clear()
    this.#connect()
  }

  connection(role: Role): LinkConnection | undefined {
    return this.#connections.get(role)
  }

  #connect(): void {
    const open = this.#whole && this.#ends.size === 2
    if (open === this.#connections.size > 0) return
    if (open) for (const role of this.#ends.keys()) this.#connections.set(role, this.#connectionOf(role))
    else {
      for (const connection of this.#connections.values()) connection.cut()
      this.#connections.clear()
    }
    for (const { changed } of this.#ends.values()) changed()
  }

  #connectionOf(role: Role): LinkConnection {
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    let open = true
    const cut = () => {
      open = false
      resolve()
    }
    const greeting = { version: protocolVersions[0] ?? 0, replica: 'link-0', replicas: 1 }
    return {
      principal: this.#principals[otherRole(role)],
      direction: role === 'requester' ? 'Outbound' : 'Inbound',
      purpose: role === 'requester' ? 'control' : 'reverse',
      certificate: Buffer.alloc(0),
      renewAt: () => Number.POSITIVE_INFINITY,
      renewBy: () => undefined,
      openedAt: Date.now(),
      caller: {
        call: (method, request, options) => this.#call(role, method, request, options.signal),
        usable: () => open,
        roundTrip: () => undefined,
        close: async () => cut(),
        closed,
      },
      greeting: () => greeting,
      greeted: () => undefined,
      usable: () => open,
      retire: cut,
      retiring: () => !open,
      cut,
      closed,
    }
  }

  async #call<Request, Response>(
    from: Role,
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    const to = otherRole(from)
    const bytes = method.request.encode(request)
    const arrive = () => this.#arrive(to, method, bytes, signal)
    const { noise } = this
    const dice = this.#dice
    if (dice.happens(noise.delay)) {
      this.count('delay')
      await sleep(dice.between(100, 1_200))
    }
    if (dice.happens(noise.late)) {
      this.count('late')
      this.#later(arrive, dice.between(noise.leastMs, noise.longestMs))
      throw lost()
    }
    if (dice.happens(noise.duplicate)) {
      this.count('duplication')
      this.#later(arrive, dice.between(noise.leastMs, noise.longestMs))
    }
    const response = await arrive()
    if (this.#cut.has(from) || !this.#whole) {
      this.count('reply cut')
      await sleep(lostMilliseconds)
      throw lost()
    }
    if (dice.happens(noise.lostReply)) {
      this.count('lost acknowledgement')
      throw lost()
    }
    return method.response.decode(response)
  }

  #later(arrive: () => Promise<Buffer>, milliseconds: number): void {
    // Nobody waits for it; that it cannot be kept is what happens to such a message.
    void sleep(milliseconds)
      .then(arrive)
      .catch(() => this.count('late message not kept'))
  }

  async #arrive<Request, Response>(
    to: Role,
    method: Method<Request, Response>,
    bytes: Buffer,
    signal: AbortSignal,
  ): Promise<Buffer> {
    if (!this.#whole || this.#cut.has(to)) {
      this.count('call cut')
      if (this.#whole) await sleep(lostMilliseconds)
      throw lost()
    }
    const connection = this.#connections.get(to)
    const end = this.#ends.get(to)
    const route =
      connection === undefined ? undefined : end?.routes(connection).find(({ path }) => path === method.path)
    if (route === undefined) throw lost()
    this.#note(to, method, bytes)
    // What has left goes on without the caller.
    const response = await route.answer(route.decode(bytes), signal.aborted ? AbortSignal.timeout(10_000) : signal)
    return Buffer.from(response)
  }

  #note<Request, Response>(to: Role, method: Method<Request, Response>, bytes: Buffer): void {
    if (method.path !== deliver.path) return
    const { kind: code, requestId, sequence, envelope } = deliver.request.decode(bytes)
    const kind = kindOfCode(code) ?? ''
    const key = `${kind} ${requestId}`
    const newest = this.#newest.get(key) ?? 0
    if (sequence < newest) this.count('reorder')
    this.#newest.set(key, Math.max(newest, sequence))
    this.#onDelivered({ to, kind, requestId, sequence, envelope })
  }
}

function lost(): CallError {
  return new CallError(codes.unavailable, 'Lost', 'the line has lost it')
}
