import type { PeerSpec } from '../../api/peer.ts'
import type { Bundle } from '../../federation/messages.ts'

/** How the two links find one another, as far as the admin says it. */
export type Reach = {
  dial?: PeerSpec['dial']
  address?: string
  dataAddress?: string
  proxy?: string
}

/** Fields of the Peer that say how it is reached: what the admin says, else what its bundle says. */
export function reachOf(
  said: Reach,
  own: Pick<Bundle, 'address'>,
  theirs: Pick<Bundle, 'address' | 'dataAddress'> | undefined,
): Partial<PeerSpec> {
  const address = said.address ?? theirs?.address
  const dataAddress = said.dataAddress ?? theirs?.dataAddress
  const dial = said.dial ?? (theirs === undefined ? undefined : dialOf(own.address, address))
  return {
    ...(dial !== undefined && { dial }),
    ...(address !== undefined && { address }),
    ...(dataAddress !== undefined && { dataAddress }),
    ...(said.proxy !== undefined && { proxy: { url: said.proxy } }),
  }
}

function dialOf(ours: string | undefined, theirs: string | undefined): PeerSpec['dial'] {
  if (theirs === undefined) return 'Them'
  return ours === undefined ? 'Us' : 'Both'
}
