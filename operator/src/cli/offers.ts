import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import { openMessage } from '../federation/open-message.ts'
import { offersOf as offersHeard } from '../placement/gather.ts'
import type { Offer } from '../placement/input.ts'
import { priceText } from './money.ts'

type Band = Offer['free']

/** What the peer offers now, from the newest message that is signed by it and for us; empty where there is none that holds. */
export function offersOf(peer: Peer, identities: readonly OwnerIdentity[], now: number): readonly Offer[] {
  const identity = identities.find(({ metadata }) => metadata.name === peer.spec.identityRef.name)
  return offersHeard(peer, identity, { openMessage, now }) ?? []
}

/** An offer in a few words, such as `few L4 at 0.40 EUR`. */
export function offerText({ gpuModel, free, price, opens }: Offer): string {
  const what = gpuModel === 'none' ? 'CPU only' : `${free.toLowerCase()} ${gpuModel}`
  const when = opens === undefined ? '' : ` from ${opens}`
  return `${what} ${price === undefined ? 'free' : `at ${priceText(price)}`}${when}`
}

/** The most GPUs that a band can mean; undefined: no end. */
export const mostOfBand: Readonly<Record<Band, number | undefined>> = { None: 0, Few: 3, Some: 15, Many: undefined }

/** The measured round trip to a peer, in bands: at most so many milliseconds; undefined where none of our links has measured it. */
export function roundTripOf({ status }: Peer): number | undefined {
  const measured = (status?.links ?? []).flatMap(({ roundTripMilliseconds }) => roundTripMilliseconds ?? [])
  return measured.length === 0 ? undefined : Math.min(...measured)
}
