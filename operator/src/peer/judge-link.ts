import type { Peer, PeerStatus } from '../api/peer.ts'
import type { peerReasons } from '../api/peer-reasons.ts'
import type { MessageOf } from '../federation/messages.ts'

type Verdict<T extends keyof typeof peerReasons> = { reason: keyof (typeof peerReasons)[T]; message: string }
type Link = NonNullable<PeerStatus['links']>[number]

/** What is known of the connections to a peer; `isAlive` tells pods of our link that exist from those that are gone. */
export type LinkView = {
  peer: Peer
  verified: boolean
  /** Of the Peer, or of the Identity: all foreign work. */
  suspendedBy: string | undefined
  goodbye: MessageOf<'Goodbye'>['state'] | undefined
  isAlive: (pod: string) => boolean
}

/** Whether our link can call the peer; a link that is lost makes it Unknown, for what runs there goes on. */
export function judgeConnected({ peer, verified, suspendedBy, goodbye, isAlive }: LinkView): Verdict<'Connected'> {
  if (!verified) return { reason: 'NotVerified', message: '' }
  if (suspendedBy !== undefined) return { reason: 'Suspended', message: suspendedBy }
  if (goodbye === 'Left') return { reason: 'PeerLeft', message: '' }
  if (goodbye === 'Frozen') return { reason: 'PeerFrozeUs', message: '' }
  const links = aliveLinks(peer, isAlive)
  if (links.some(({ connected }) => connected)) return { reason: 'Connected', message: '' }
  const why = links.map(({ replica, reason, message }) => `${replica}: ${message ?? reason ?? 'no reason given'}`)
  const message = why.length === 0 ? 'no running pod of our link has tried; is the link installed?' : why.join('; ')
  return { reason: 'NotConnected', message: message.slice(0, 1024) }
}

/** Whether both sides speak a common version: the word of connections that exist counts before that of lost ones. */
export function judgeCompatible({ peer, isAlive }: Pick<LinkView, 'peer' | 'isAlive'>): Verdict<'Compatible'> {
  const told = aliveLinks(peer, isAlive).filter(({ protocolVersion }) => protocolVersion !== undefined)
  const current = told.find(({ connected }) => connected) ?? told[0]
  if (current?.protocolVersion === undefined) return { reason: 'NotKnownYet', message: '' }
  if (current.protocolVersion === 0) return { reason: 'NoCommonVersion', message: current.message ?? '' }
  return { reason: 'SameVersion', message: `version ${current.protocolVersion}` }
}

/** A pod that was killed cannot take its entry back. */
function aliveLinks({ status }: Peer, isAlive: (pod: string) => boolean): Link[] {
  return (status?.links ?? []).filter(({ replica }) => isAlive(replica))
}
