import type { GuestWork } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { conditionOf } from '../kube/conditions.ts'
import { guestWorks, identities, peers, remoteWorks } from '../kube/hansa-resources.ts'
import type { Offer } from '../placement/input.ts'
import type { Io } from './io.ts'
import { offersOf, offerText, roundTripOf } from './offers.ts'
import { columns, type Format, printObject } from './output.ts'
import { readable } from './readable.ts'

/** One Peer, as `kubectl hansa peers -o json` has it. Counts are absent where the caller may not read what is counted. */
export type PeerRow = {
  name: string
  owner: string
  verified: string
  connected: string
  /** Who opened the connections that our calls go over. */
  direction: 'Outbound' | 'Inbound' | 'Both' | 'None'
  /** Measured round trip, in bands: at most so long; 1000 is also what is longer. Absent where it is not measured. */
  roundTripMilliseconds?: number
  offers: readonly Offer[]
  leasesTaken?: number
  leasesGiven?: number
  frozen: boolean
}

/** `peers`: every Peer with what it offers, and the leases between us. */
export async function showPeers(
  client: KubeClient,
  { systemNamespace, output }: { systemNamespace: string; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const [{ items }, own, works, guests] = await Promise.all([
    client.list(peers, { signal }),
    readable(client, identities, { signal }),
    readable(client, remoteWorks, { signal }),
    readable(client, guestWorks, { namespace: systemNamespace, signal }),
  ])
  const rows = items.map((peer) => peerRow(peer, { offers: offersOf(peer, own ?? [], io.now()), works, guests }))
  if (output !== 'table') {
    await printObject(io, output, { items: rows })
    return
  }
  if (rows.length === 0) {
    io.err('There is no Peer. Invite one: kubectl hansa peer invite NAME --identity ID\n')
    return
  }
  io.out(table(rows))
  if (works === undefined || guests === undefined) {
    io.err('?: you may not read RemoteWorks of all namespaces, or GuestWorks.\n')
  }
}

export function peerRow(
  peer: Peer,
  seen: {
    offers: readonly Offer[]
    works: readonly RemoteWork[] | undefined
    guests: readonly GuestWork[] | undefined
  },
): PeerRow {
  const { metadata, spec, status } = peer
  const { name } = metadata
  const { works, guests, offers } = seen
  const roundTripMilliseconds = roundTripOf(peer)
  const at = (each: RemoteWork | GuestWork) => each.spec.peerRef.name === name
  return {
    name,
    owner: spec.ownerId ?? '',
    verified: conditionOf(status?.conditions, 'Verified')?.status ?? 'Unknown',
    connected: conditionOf(status?.conditions, 'Connected')?.status ?? 'Unknown',
    direction: directionOf(status?.links ?? []),
    ...(roundTripMilliseconds !== undefined && { roundTripMilliseconds }),
    offers,
    ...(works !== undefined && { leasesTaken: works.filter((each) => at(each) && isTaken(each)).length }),
    ...(guests !== undefined && { leasesGiven: guests.filter((each) => at(each) && isGiven(each)).length }),
    frozen: spec.suspend,
  }
}

function isTaken({ spec, status }: RemoteWork): boolean {
  const state = status?.lease?.state
  return spec.cancelled === undefined && (state === 'Active' || state === 'Uncertain')
}

function isGiven({ status }: GuestWork): boolean {
  return status?.decision === 'Granted' && status.lease !== undefined
}

function directionOf(links: NonNullable<Peer['status']>['links'] & object): PeerRow['direction'] {
  const seen = new Set(links.filter(({ connected }) => connected).map(({ direction }) => direction))
  seen.delete('None')
  const [first] = seen
  return seen.size > 1 ? 'Both' : (first ?? 'None')
}

const mostShown = 3

function table(rows: readonly PeerRow[]): string {
  const head = ['NAME', 'OWNER', 'VERIFIED', 'CONNECTED', 'DIRECTION', 'LATENCY', 'OFFERS', 'TAKEN', 'GIVEN', 'FROZEN']
  return columns(
    head,
    rows.map((row) => [
      row.name,
      row.owner,
      row.verified,
      row.connected,
      row.direction,
      latencyText(row.roundTripMilliseconds),
      offersText(row.offers),
      String(row.leasesTaken ?? '?'),
      String(row.leasesGiven ?? '?'),
      row.frozen ? 'yes' : 'no',
    ]),
  )
}

function latencyText(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '-'
  return milliseconds >= 1000 ? 'over 500 ms' : `up to ${milliseconds} ms`
}

function offersText(offers: readonly Offer[]): string {
  if (offers.length === 0) return '-'
  const more = offers.length > mostShown ? `, ${offers.length - mostShown} more` : ''
  return `${offers.slice(0, mostShown).map(offerText).join(', ')}${more}`
}
