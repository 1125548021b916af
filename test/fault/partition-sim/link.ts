import type { Body } from '@hansa/operator/grant/body.ts'
import type { Network } from './network.ts'
import type { AnswerBody, AskBody, CancelBody, Mail, RenewalBody, RequestBody } from './objects.ts'
import type { Store } from './store.ts'
import type { World } from './world.ts'

/** What one link carries to another. */
export type Parcel =
  | { readonly kind: 'Request'; readonly body: RequestBody }
  | { readonly kind: 'Renewal'; readonly body: RenewalBody }
  | { readonly kind: 'Cancel'; readonly body: CancelBody }
  | { readonly kind: 'Answer'; readonly body: AnswerBody }
  | { readonly kind: 'RenewalAsk'; readonly body: AskBody }
  | { readonly kind: 'Confirmation'; readonly body: Body<'Confirmation'> }

const againMs = 1_000

/** A courier: takes from the outboxes of its own API server until the other side has taken, writes what comes into inboxes. */
export class Link {
  up = true
  readonly name: string
  readonly #world: World
  readonly #network: Network
  readonly #store: Store
  readonly #wallMs: () => number
  #linkTo: (name: string) => Link | undefined
  #inFlight = new Map<string, number>()
  #told = new Map<string, string>()
  #life = 0
  #isWoken = false

  constructor(options: {
    name: string
    world: World
    network: Network
    store: Store
    wallMs: () => number
    linkTo: (name: string) => Link | undefined
  }) {
    this.name = options.name
    this.#world = options.world
    this.#network = options.network
    this.#store = options.store
    this.#wallMs = options.wallMs
    this.#linkTo = options.linkTo
  }

  crash(downMs: number): void {
    this.up = false
    const life = ++this.#life
    this.#world.after(downMs, () => {
      if (this.#life !== life) return
      this.up = true
      this.#inFlight = new Map()
      this.#told = new Map()
      this.wake()
    })
  }

  wake(afterMs = this.#world.between(1, 15)): void {
    if (this.#isWoken) return
    this.#isWoken = true
    this.#world.after(afterMs, () => {
      this.#isWoken = false
      if (this.up) this.#carry()
    })
  }

  #carry(): void {
    const view = this.#store.view()
    for (const { name, value } of view.list('remote')) {
      for (const kind of ['Request', 'Renewal', 'Cancel'] as const) {
        const mail = value.outbox[kind]
        if (mail !== undefined && mail.sequence > (value.delivered[kind] ?? 0)) {
          const parcel = { kind, body: mail.body } as Parcel // the mailbox binds kind to body
          this.#send(value.peer, `remote/${name}/${kind}/${mail.sequence}`, parcel, () => {
            this.#store.patch('remote', name, (now) => delivered(now, kind, mail))
          })
        }
      }
    }
    for (const { name, value } of view.list('tomb')) {
      if (value.delivered) continue
      this.#send(value.peer, `tomb/${name}`, { kind: 'Cancel', body: value.cancel.body }, () => {
        this.#store.patch('tomb', name, (now) => ({ ...now, delivered: true }))
      })
    }
    for (const { name, value } of view.list('guest')) {
      for (const kind of ['Answer', 'RenewalAsk'] as const) {
        const mail = value.outbox[kind]
        if (mail !== undefined && mail.sequence > (value.delivered[kind] ?? 0)) {
          const parcel = { kind, body: mail.body } as Parcel // the mailbox binds kind to body
          this.#send('R', `guest/${name}/${kind}/${mail.sequence}`, parcel, () => {
            this.#store.patch('guest', name, (now) => delivered(now, kind, mail))
          })
        }
      }
    }
    for (const { name, value } of view.list('peer')) {
      if (value.statement === undefined) continue
      const text = JSON.stringify(value.statement)
      if (this.#told.get(name) === text) continue
      this.#send(name, `peer/${name}/${text}`, { kind: 'Confirmation', body: value.statement }, () => {
        this.#told.set(name, text)
      })
    }
  }

  #send(to: string, key: string, parcel: Parcel, taken: () => void): void {
    const other = this.#linkTo(to)
    const since = this.#inFlight.get(key)
    if (other === undefined || (since !== undefined && this.#world.nowMs < since + againMs)) return
    this.#inFlight.set(key, this.#world.nowMs)
    const life = this.#life
    this.#world.after(againMs * this.#world.between(1, 1.5), () => {
      if (this.#life === life) this.wake()
    })
    this.#network.call(
      this.name,
      to,
      () => other.#take(this.name, parcel),
      () => {
        if (this.#life === life && this.up) taken()
      },
    )
  }

  /** Puts what came into the mailbox; an older message than the one there is taken and forgotten. */
  #take(from: string, parcel: Parcel): boolean {
    if (!this.up) return false
    const store = this.#store
    switch (parcel.kind) {
      case 'Request': {
        const { body } = parcel
        if (store.view().get('guest', body.requestId) !== undefined) return true
        if (this.#wallMs() > body.expiresMs) {
          this.#world.count('request expired on its way')
          return true
        }
        store.write('guest', body.requestId, 0, {
          request: body,
          inbox: {},
          outbox: {},
          delivered: {},
          decision: 'Pending',
        })
        return true
      }
      case 'Renewal': {
        const { body } = parcel
        store.patch('guest', body.requestId, (guest) =>
          isNewer(guest.inbox.Renewal, body) ? { ...guest, inbox: { ...guest.inbox, Renewal: mail(body) } } : guest,
        )
        return true
      }
      case 'Cancel': {
        const { body } = parcel
        store.patch('guest', body.requestId, (guest) =>
          isNewer(guest.inbox.Cancel, body) ? { ...guest, inbox: { ...guest.inbox, Cancel: mail(body) } } : guest,
        )
        return true
      }
      case 'Answer': {
        const { body } = parcel
        store.patch('remote', body.requestId, (remote) =>
          isNewer(remote.inbox.Answer, body) ? { ...remote, inbox: { ...remote.inbox, Answer: mail(body) } } : remote,
        )
        return true
      }
      case 'RenewalAsk': {
        const { body } = parcel
        store.patch('remote', body.requestId, (remote) =>
          isNewer(remote.inbox.RenewalAsk, body)
            ? { ...remote, inbox: { ...remote.inbox, RenewalAsk: mail(body) } }
            : remote,
        )
        return true
      }
      case 'Confirmation': {
        const { body } = parcel
        return store.patch('peer', from, (peer) =>
          JSON.stringify(peer.heard) === JSON.stringify(body) ? peer : { ...peer, heard: body },
        )
      }
    }
  }
}

function mail<B extends { readonly sequence: number }>(body: B): Mail<B> {
  return { sequence: body.sequence, body }
}

function isNewer(there: { readonly sequence: number } | undefined, body: { readonly sequence: number }): boolean {
  return there === undefined || body.sequence > there.sequence
}

function delivered<O extends { readonly delivered: Readonly<Record<string, number>> }>(
  object: O,
  kind: string,
  { sequence }: { readonly sequence: number },
): O {
  if ((object.delivered[kind] ?? 0) >= sequence) return object
  return { ...object, delivered: { ...object.delivered, [kind]: sequence } }
}
