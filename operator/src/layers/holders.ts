import type { Holding } from './measure.ts'

/** What lies in one place, that of a cluster. */
export type Place = Holding & {
  /** Name of the Peer, or `own` for this cluster. */
  readonly owner: string
  /** The same for all clusters of one owner. */
  readonly ownerKey: string
}

/** One owner with all its places. */
export type Holder = Holding & { readonly owner: string; readonly places: readonly Place[] }

/** Places by owner, who counts once however many clusters it has; those with nothing are left out, the largest come first. */
export function holdersOf(places: readonly Place[]): Holder[] {
  const byKey = new Map<string, Place[]>()
  for (const place of places) {
    if (place.most > 0) byKey.set(place.ownerKey, [...(byKey.get(place.ownerKey) ?? []), place])
  }
  return [...byKey.values()]
    .map((own) => ({
      owner: own.map(({ owner }) => owner).join('+'),
      places: own,
      least: own.reduce((sum, each) => sum + each.least, 0),
      most: own.reduce((sum, each) => sum + each.most, 0),
    }))
    .sort((a, b) => b.most - a.most || (a.owner < b.owner ? -1 : 1))
}
