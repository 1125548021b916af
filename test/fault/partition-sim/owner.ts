import type { Checks } from './checks.ts'
import { Clock } from './clock.ts'
import { Link } from './link.ts'
import type { Network } from './network.ts'
import { type Pass, Process } from './process.ts'
import type { Protocol } from './protocol.ts'
import { Store, type View } from './store.ts'
import type { World } from './world.ts'

/** What all parts of a run share. */
export type Stage = {
  readonly world: World
  readonly network: Network
  readonly checks: Checks
  readonly protocol: Protocol
  readonly owners: Map<string, { readonly link: Link }>
  /** Name in a trace; uids need only be unique. */
  readonly uid: (prefix: string) => string
}

/** One owner's side: clocks, API server, operator, link. */
export type Owner<M> = {
  readonly name: string
  readonly clock: Clock
  readonly store: Store
  readonly operator: Process<M>
  readonly link: Link
}

export function createOwner<M>(
  stage: Stage,
  options: {
    name: string
    peers: readonly string[]
    driftPpm: number
    wallOffsetMs: number
    fresh: () => M
    pass: (view: View, owner: Owner<M>) => Pass
    changed?: () => void
  },
): Owner<M> {
  const { world, network } = stage
  const { name } = options
  const clock = new Clock(options.driftPpm, options.wallOffsetMs)
  const wake = () => {
    operator.wake()
    link.wake()
    options.changed?.()
  }
  const store = new Store(
    () => world.nowMs,
    () => wake(),
  )
  const link = new Link({
    name,
    world,
    network,
    store,
    wallMs: () => clock.read(world.nowMs).wallMs,
    linkTo: (to) => stage.owners.get(to)?.link,
  })
  const operator: Process<M> = new Process<M>({
    world,
    name,
    store,
    clock,
    fresh: options.fresh,
    pass: (view) => options.pass(view, owner),
  })
  const owner: Owner<M> = { name, clock, store, operator, link }
  stage.owners.set(name, owner)
  for (const peer of options.peers) store.write('peer', peer, 0, {})
  return owner
}
