import { setTimeout as sleep } from 'node:timers/promises'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { work } from '../../../builders/work.ts'
import { Dice, type LineFault, noiseOf } from './faults.ts'
import type { Role } from './line.ts'
import { workNamespace } from './names.ts'
import type { Pair, Stage } from './stage.ts'

const { signal } = new AbortController()
const patience = 90_000
/** No deletion needs more than our own signature and a few writes. */
const deletionMilliseconds = 15_000

type Placed = { readonly name: string; readonly uid: string }
type State = 'Same lease' | 'Over' | 'Apart'

/** One scenario: works of its own on a line of its own, with seeded faults. */
export class Scenario {
  readonly name: string
  readonly dice: Dice
  readonly fault: LineFault
  readonly pair: Pair
  readonly leaseSeconds: number
  /** Whether works end by Cancel, or with the line cut, by their leases alone. */
  readonly endsAlone: boolean
  readonly #stage: Stage
  readonly #works = new Map<string, Placed>()
  /** Leases that were valid on both sides when the line healed. */
  healed = 0
  survived = 0
  lineFaulted = false
  roundFaulted = false

  constructor(stage: Stage, pair: Pair, options: { name: string; seed: number; fault: LineFault }) {
    this.#stage = stage
    this.pair = pair
    this.name = options.name
    this.fault = options.fault
    this.dice = new Dice(options.seed)
    this.leaseSeconds = Math.round(this.dice.between(8, 10))
    this.endsAlone = this.dice.happens(0.5)
    pair.line.counts.clear()
    pair.line.noise = noiseOf(options.fault)
  }

  async place(label: string): Promise<void> {
    const name = `${this.name}-${label}`
    const { metadata } = await this.#stage.owners.requester.client.create(
      remoteWorks,
      {
        apiVersion,
        kind: 'RemoteWork',
        metadata: { namespace: workNamespace, name },
        spec: { peerRef: { name: this.pair.executor }, work: work({ leaseSeconds: this.leaseSeconds }) },
      },
      { signal },
    )
    this.#works.set(label, { name, uid: metadata.uid })
  }

  /** Waits until both sides have the same lease and the executor's objects are there. */
  granted(label: string): Promise<void> {
    return this.#until(`${label} is granted`, label, (state) => state === 'Same lease')
  }

  /** Waits until both sides agree: one lease, or none. */
  async agreed(): Promise<void> {
    await Promise.all(
      [...this.#works.keys()].map((label) => this.#until(`${label} is agreed on`, label, (state) => state !== 'Apart')),
    )
  }

  /** Deletes a work at the requester; that must not wait for the peer. */
  async remove(label: string): Promise<void> {
    const placed = this.#works.get(label)
    if (placed === undefined) return
    const { client } = this.#stage.owners.requester
    const ref = { namespace: workNamespace, name: placed.name }
    await client.delete(remoteWorks, ref, { signal, uid: placed.uid }).catch((error: unknown) => {
      // A restore may have taken it away.
      if (this.#stage.watch.work(placed.name) !== undefined) throw error
    })
    const began = Date.now()
    while ((await client.get(remoteWorks, ref, { signal }))?.metadata.uid === placed.uid) {
      if (Date.now() - began > deletionMilliseconds) {
        this.#stage.judge.fail('deletion waits', placed.uid, `${placed.name} is still there`)
        return
      }
      await sleep(100)
    }
  }

  /** Waits until nothing of it runs at the executor. */
  async stopped(): Promise<void> {
    for (const label of this.#works.keys()) await this.#until(`${label} has ended`, label, (state) => state === 'Over')
  }

  state(label: string): State {
    const placed = this.#works.get(label)
    const { watch } = this.#stage
    if (placed === undefined) return 'Over'
    const found = watch.work(placed.name)
    const asked =
      found?.metadata.uid === placed.uid && found.metadata.deletionTimestamp === undefined ? found : undefined
    const guest = watch.guest(this.pair.requester, placed.uid)
    const service = watch.service(placed.uid)
    const lease = asked?.status?.lease
    const grants = guest?.status?.decision === 'Granted'
    const believes = lease !== undefined && lease.state !== 'Ended'
    if (believes && grants && service !== undefined) {
      return lease.state === 'Active' && lease.epoch === guest.status?.lease?.epoch ? 'Same lease' : 'Apart'
    }
    const isOver = asked === undefined || lease?.state === 'Ended'
    return isOver && !grants && service === undefined ? 'Over' : 'Apart'
  }

  /** Whether that side knows nothing of a work. */
  forgot(role: Role, label: string): boolean {
    const placed = this.#works.get(label)
    const { watch } = this.#stage
    if (placed === undefined) return false
    const known = role === 'requester' ? watch.work(placed.name) : watch.guest(this.pair.requester, placed.uid)
    return known === undefined
  }

  /** The leases that are valid on both sides now, with the uid of what runs. */
  valid(): { label: string; epoch: number; service: string }[] {
    const { watch } = this.#stage
    return [...this.#works].flatMap(([label, { name, uid }]) => {
      const lease = watch.work(name)?.status?.lease
      const guest = watch.guest(this.pair.requester, uid)?.status
      const service = watch.service(uid)
      const expiresMs = Date.parse(guest?.lease?.expiresTime ?? '')
      const isValid = guest?.decision === 'Granted' && expiresMs > Date.now() + 500
      const isBelieved = lease !== undefined && lease.state !== 'Ended' && lease.epoch === guest?.lease?.epoch
      return isValid && isBelieved && service !== undefined
        ? [{ label, epoch: lease.epoch, service: service.metadata.uid }]
        : []
    })
  }

  /** After the heal: what was valid on both sides is the same still, or its time was over before it could be renewed. */
  compare(before: readonly { label: string; epoch: number; service: string }[]): void {
    const { judge } = this.#stage
    this.healed += before.length
    for (const { label, epoch, service } of before) {
      if (this.state(label) !== 'Same lease') continue
      const now = this.valid().find((each) => each.label === label)
      if (now?.epoch === epoch && now.service === service) this.survived += 1
      else if (now !== undefined) {
        judge.fail('changed by the heal', this.#works.get(label)?.uid ?? '', `epoch ${epoch} became ${now.epoch}`)
      }
    }
  }

  async #until(what: string, label: string, accept: (state: State) => boolean): Promise<void> {
    const until = Date.now() + patience
    while (!accept(this.state(label))) {
      if (Date.now() > until) {
        const { name = '', uid = '' } = this.#works.get(label) ?? {}
        const { watch, judge } = this.#stage
        const { lease, answer } = watch.work(name)?.status ?? {}
        const guest = watch.guest(this.pair.requester, uid)?.status
        const seen = JSON.stringify({ lease, answer, decision: guest?.decision, given: guest?.lease })
        judge.fail('no agreement', uid, `${this.name}, ${this.fault}: not in time: ${what}: ${seen}`)
        return
      }
      await sleep(100)
    }
  }
}
