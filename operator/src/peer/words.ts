import type { Peer, PeerStatus } from '../api/peer.ts'
import type { OpenMessage } from '../federation/federation.ts'
import type { Bundle, MessageOf } from '../federation/messages.ts'

/** What a peer has told us, checked: the newest of each kind that any of our links has got. */
export type Words = { confirmation: MessageOf<'Confirmation'> | undefined; goodbye: MessageOf<'Goodbye'> | undefined }

const fields = { Confirmation: 'confirmation', Goodbye: 'goodbye' } as const satisfies Record<
  string,
  keyof NonNullable<PeerStatus['links']>[number]
>

/** Reads them; what does not check is as if it had not come. Their time to be delivered may have passed since they came. */
export function wordsOf(peer: Peer, openMessage: OpenMessage, options: { ownBundle: Bundle; now: number }): Words {
  const newest = <K extends keyof typeof fields>(kind: K): MessageOf<K> | undefined => {
    let best: MessageOf<K> | undefined
    const envelopes = new Set((peer.status?.links ?? []).map((link) => link[fields[kind]]))
    for (const envelope of envelopes) {
      if (envelope === undefined) continue
      const opened = openMessage(kind, envelope, { ...options, peer, ignoreExpiry: true })
      if (opened.ok && (best === undefined || opened.message.sequence > best.sequence)) best = opened.message
    }
    return best
  }
  return { confirmation: newest('Confirmation'), goodbye: newest('Goodbye') }
}
