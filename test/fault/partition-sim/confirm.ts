import type { PeerObject } from './objects.ts'
import type { Owner, Stage } from './owner.ts'
import type { View } from './store.ts'

/** The peer controller and the guest controller's part of it: say what we saw, ask, and begin a new incarnation when answered. */
export function* confirm<M>(stage: Stage, owner: Owner<M>, view: View): Generator<() => void, boolean, void> {
  const { protocol, world } = stage
  const { store, operator } = owner
  for (const { name, version, value: peer } of view.list('peer')) {
    const epochSeen = Math.max(
      0,
      ...view
        .list('remote')
        .filter(({ value }) => value.peer === name)
        .map(({ value }) => value.status.lease?.epoch ?? 0),
    )
    const asks = operator.nonce
    const judged = protocol.judgeConfirmation({ asks, known: peer, heard: peer.heard })
    let next: PeerObject = peer
    if (judged.state === 'New') {
      world.count(judged.restored ? 'restored state confirmed' : 'start confirmed')
      world.note(() => `${owner.name} is incarnation ${judged.incarnation} to ${name}, epoch ${judged.epoch}`)
      const { incarnation, epoch, confirmedNonce } = judged
      next = { ...next, incarnation, epoch, confirmedNonce }
    }
    if (judged.state === 'Implausible') stage.checks.fail('confirmation', `${owner.name} finds ${name} implausible`)
    const { body, told } = protocol.nextConfirmation({
      asks,
      heard: peer.heard,
      told: peer.told,
      ownIncarnation: next.incarnation ?? 0,
      epochSeen,
      sequence: 1,
    })
    if (JSON.stringify(body) !== JSON.stringify(peer.statement)) {
      next = { ...next, statement: body, ...(told === undefined ? {} : { told }) }
    }
    if (next !== peer) {
      yield () => store.write('peer', name, version, next)
      return true
    }
  }
  return false
}

/** Whether this start of the operator is confirmed by the peer. */
export function isConfirmed(view: View, peer: string, asks: string): boolean {
  return view.get('peer', peer)?.value.confirmedNonce === asks
}
