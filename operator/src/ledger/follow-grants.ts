import type { GuestWork } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { Clock } from '../kube/clock.ts'
import type { Live } from '../kube/resource.ts'
import type { Change, Store } from '../kube/store.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { grantOfGuest, grantOfWork } from './grant-of.ts'
import type { Grant, LedgerStore } from './store/store.ts'

/** Keeps grants in the books as GuestWorks and RemoteWorks say, so that they are known when the objects are gone. */
export function followGrants(deps: {
  guests: Store<GuestWork>
  works: Store<RemoteWork>
  peers: Store<Peer>
  store: LedgerStore
  clock: Clock
  log: Logger
}): { flush(): Promise<void>; stop(): void } {
  const { guests, works, peers, store, clock, log } = deps
  /** Newest state of each grant that is not written yet. */
  const due = new Map<string, Grant>()
  let writing: Promise<void> | undefined

  const identityOf = (peerName: string) => peers.get({ name: peerName })?.spec.identityRef.name
  const keyOf = ({ side, peer, requestId, epoch }: Grant) => `${side} ${peer} ${requestId} ${epoch}`

  function put(grant: Grant | undefined): void {
    if (grant === undefined) return
    due.set(keyOf(grant), grant)
    begin()
  }

  function begin(): void {
    writing ??= write().finally(() => {
      writing = undefined
      // What came after the last look of the loop.
      if (due.size > 0) begin()
    })
  }

  async function write(): Promise<void> {
    for (const [key, grant] of due) {
      due.delete(key)
      try {
        await save(grant)
      } catch (error) {
        // The next change, or the next look, writes it.
        log.warn({ peer: grant.peer, requestId: grant.requestId, error: messageOf(error) }, 'a grant cannot be kept')
      }
    }
  }

  async function save(grant: Grant): Promise<void> {
    const before = await store.grant(grant)
    const since = before?.asked?.since
    await store.saveGrant({
      ...grant,
      // A deleted RemoteWork leaves a tombstone in another namespace.
      ...(before !== undefined && { namespace: before.namespace, service: before.service || grant.service }),
      ...(before?.endedAt !== undefined && grant.endedAt !== undefined && { endedAt: before.endedAt }),
      reservedGPUSeconds: Math.max(grant.reservedGPUSeconds, before?.reservedGPUSeconds ?? 0),
      ...(grant.asked !== undefined && { asked: { ...grant.asked, since: since ?? grant.asked.since } }),
    })
  }

  function guestChanged({ previous, current }: Pick<Change<GuestWork>, 'previous' | 'current'>): void {
    const guest = current ?? previous
    const identity = guest === undefined ? undefined : identityOf(guest.spec.peerRef.name)
    if (guest === undefined || identity === undefined) return
    put(ended(grantOfGuest(guest, identity, clock.now()), current))
  }

  function workChanged({ previous, current }: Pick<Change<RemoteWork>, 'previous' | 'current'>): void {
    const work = current ?? previous
    const identity = work === undefined ? undefined : identityOf(work.spec.peerRef.name)
    if (work === undefined || identity === undefined) return
    put(ended(grantOfWork(work, identity, clock.now()), current))
  }

  function ended(grant: Grant | undefined, current: Live | undefined): Grant | undefined {
    return grant === undefined || current !== undefined ? grant : { endedAt: clock.now(), ...grant }
  }

  function look(): void {
    for (const current of guests.list()) guestChanged({ previous: undefined, current })
    for (const current of works.list()) workChanged({ previous: undefined, current })
  }

  // A Peer may become known after the work.
  const stops = [guests.subscribe(guestChanged), works.subscribe(workChanged), peers.subscribe(look)]
  look()
  return {
    flush: async () => {
      while (writing !== undefined) await writing
    },
    stop: () => {
      for (const stop of stops) stop()
    },
  }
}
