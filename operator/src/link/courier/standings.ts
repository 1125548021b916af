import { checkBundle } from '../../federation/bundle.ts'
import type { OpenMessage } from '../../federation/federation.ts'
import type { Clock } from '../../kube/clock.ts'
import type { LinkPeer } from '../link-peer.ts'
import type { LinkMetrics } from '../metrics.ts'
import type { Refusals } from '../refusals.ts'
import { maxEnvelopeBytes, type Standing } from '../wire/messages.ts'

export type Statement = { standing: Standing; envelope: string }

/** What a peer said of itself, newest of each kind. */
export type Heard = Partial<Record<'bundle' | 'confirmation' | 'offer' | 'goodbye', string>>

export type Standings = {
  /** Takes a statement of a peer, when it is its and newer than what is known. */
  take(peer: LinkPeer, standing: Standing, envelope: string): void
  /** Takes a bundle that was checked elsewhere. */
  takeBundle(peerName: string, envelope: string): void
  /** What the peer is to know of us. */
  ours(peer: LinkPeer): Statement[]
  heard(peerName: string): Heard
  forget(peerName: string): void
}

const fields = { Bundle: 'bundle', Confirmation: 'confirmation', Offer: 'offer', Goodbye: 'goodbye' } as const

/** Keeps what peers say of themselves until the API server has it. */
export function createStandings(deps: {
  openMessage: OpenMessage
  clock: Clock
  metrics: LinkMetrics
  refusals: Refusals
  onHeard: (peerName: string) => void
}): Standings {
  const { openMessage, clock, metrics, refusals } = deps
  const known = new Map<string, Heard>()
  const sequences = new Map<string, number>()

  function keep(peerName: string, field: keyof Heard, envelope: string): void {
    const heard = known.get(peerName) ?? {}
    if (heard[field] === envelope) return
    known.set(peerName, { ...heard, [field]: envelope })
    deps.onHeard(peerName)
  }

  return {
    take(peer, standing, envelope) {
      const field = fields[standing]
      if (known.get(peer.name)?.[field] === envelope) return
      const checked = standing === 'Bundle' ? bundleSequence(peer, envelope) : messageSequence(peer, standing, envelope)
      if (typeof checked === 'string') {
        if (checked !== 'Known') refusals.refused({ reason: checked, peer: peer.name, what: standing })
        return
      }
      const key = `${peer.name} ${standing}`
      const newest = sequences.get(key) ?? newestSaid(peer, standing)
      if (checked < newest) return
      sequences.set(key, checked)
      metrics.received(standing)
      keep(peer.name, field, envelope)
    },
    takeBundle: (peerName, envelope) => {
      metrics.received('Bundle')
      keep(peerName, 'bundle', envelope)
    },
    ours: (peer) => {
      const { outgoing, offer, goodbye } = peer.peer.status?.statement ?? {}
      const all: { standing: Standing; envelope: string | undefined }[] = [
        { standing: 'Bundle', envelope: peer.own.envelope },
        { standing: 'Confirmation', envelope: outgoing },
        { standing: 'Offer', envelope: offer },
        { standing: 'Goodbye', envelope: goodbye },
      ]
      let bytes = 0
      return all.flatMap(({ standing, envelope }) => {
        if (envelope === undefined) return []
        bytes += Buffer.byteLength(envelope)
        // All together are to fit into one message; what is last and too much waits until something shrinks.
        return bytes > maxEnvelopeBytes ? [] : [{ standing, envelope }]
      })
    },
    heard: (peerName) => known.get(peerName) ?? {},
    forget: (peerName) => {
      known.delete(peerName)
      for (const standing of Object.keys(fields)) sequences.delete(`${peerName} ${standing}`)
    },
  }

  function messageSequence(peer: LinkPeer, kind: Exclude<Standing, 'Bundle'>, envelope: string): number | string {
    const opened = openMessage(kind, envelope, { peer: peer.peer, ownBundle: peer.own.bundle, now: clock.now() })
    return opened.ok ? opened.message.sequence : opened.problem.reason
  }

  function bundleSequence({ peer: { spec, status } }: LinkPeer, envelope: string): number | string {
    if (envelope === status?.bundle?.envelope) return 'Known'
    const verdict = checkBundle(envelope, {
      pinnedKey: spec.rootKey ?? '',
      knownKey: status?.rootKey,
      clusterName: spec.clusterName,
      atLeastSequence: (status?.bundle?.sequence ?? 0) + 1,
      now: clock.now(),
    })
    if (verdict.ok) return verdict.bundle.sequence
    return verdict.problem.reason === 'Rollback' ? 'Known' : `Bundle${verdict.problem.reason}`
  }

  /** The newest that any replica of ours has written, so that a restart takes nothing back. */
  function newestSaid({ peer, own }: LinkPeer, standing: Standing): number {
    if (standing === 'Bundle') return 0
    const field = fields[standing]
    const said = (peer.status?.links ?? []).flatMap(({ [field]: envelope }) => {
      if (envelope === undefined) return []
      const opened = openMessage(standing, envelope, {
        peer,
        ownBundle: own.bundle,
        now: clock.now(),
        ignoreExpiry: true,
      })
      return opened.ok ? [opened.message.sequence] : []
    })
    return Math.max(0, ...said)
  }
}
