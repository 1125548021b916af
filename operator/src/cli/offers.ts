import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { MessageOf } from '../federation/messages.ts'
import { openMessage } from '../federation/open-message.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { priceText } from './money.ts'

export type Offer = MessageOf<'Offer'>['offers'][number]
type Band = Offer['free']

/** What the peer offers now, from the newest message that is signed by it and for us; empty where there is none that holds. */
export function offersOf(peer: Peer, identities: readonly OwnerIdentity[], now: number): Offer[] {
  const identity = identities.find(({ metadata }) => metadata.name === peer.spec.identityRef.name)
  const own = identity === undefined ? undefined : bundleOfIdentity(identity, { now })
  if (own?.ok !== true) return []
  let newest: MessageOf<'Offer'> | undefined
  for (const { offer } of peer.status?.links ?? []) {
    if (offer === undefined) continue
    const opened = openMessage('Offer', offer, { peer, ownBundle: own.bundle, now })
    if (opened.ok && opened.message.sequence > (newest?.sequence ?? -1)) newest = opened.message
  }
  return newest?.offers ?? []
}

/** An offer in a few words, such as `few L4 at 0.40 EUR`. */
export function offerText({ gpuModel, free, price, opens }: Offer): string {
  const what = gpuModel === 'none' ? 'CPU only' : `${free.toLowerCase()} ${gpuModel}`
  const when = opens === undefined ? '' : ` from ${opens}`
  return `${what} ${price === undefined ? 'free' : `at ${priceText(price)}`}${when}`
}

/** The most GPUs that a band can mean; undefined: no end. */
export const mostOfBand: Readonly<Record<Band, number | undefined>> = { None: 0, Few: 3, Some: 15, Many: undefined }
