/** A place for workers. */
export type Place = {
  name: string
  ownerKey: string
  /** The most workers there. */
  most: number
  /** Workers that are there now. */
  current: number
  /** What one worker there is worth. */
  value: number
}

export type Rules = {
  total: number
  /** Fewest owners, if they can be had. */
  minOwners: number
  /** Most workers of one owner, if others can be had. */
  mostPerOwner: number
  /** What a worker is worth more where one runs already. */
  stayingValue: number
  /** What each worker that its owner has already takes from it. */
  spreadCost: number
}

/**
 * Gives workers to places, one after the other, each where it is worth most then; of equals the first by name. Since no worker at a place
 * or owner is worth more than the one before it, no other distribution is worth more in all (the sum is M-natural-concave: owners and
 * places are nested sets, and each step has falling returns). To have `minOwners`, the best place of as many owners gets its
 * first worker before all others. More than `mostPerOwner` is worth less than anything else, so that it is used last.
 */
export function distribute(places: readonly Place[], rules: Rules): Map<string, number> {
  const byName = places.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  const counts = new Map(byName.map(({ name }) => [name, 0]))
  const ofOwner = new Map<string, number>()
  const give = (from: readonly Place[]): boolean => {
    const best = bestOf(from, (place) =>
      worth(place, counts.get(place.name) ?? 0, ofOwner.get(place.ownerKey) ?? 0, rules),
    )
    if (best === undefined) return false
    counts.set(best.name, (counts.get(best.name) ?? 0) + 1)
    ofOwner.set(best.ownerKey, (ofOwner.get(best.ownerKey) ?? 0) + 1)
    return true
  }
  let left = rules.total
  for (; left > 0 && ofOwner.size < rules.minOwners; left--) {
    if (!give(byName.filter(({ ownerKey }) => !ofOwner.has(ownerKey)))) break
  }
  for (; left > 0; left--) if (!give(byName)) break
  return counts
}

/** Far from any value that a worker can have. */
const never = 1e12

/** What one more worker at the place is worth; undefined where it is full. */
export function worth(place: Place, there: number, ofOwner: number, rules: Rules): number | undefined {
  if (there >= place.most) return undefined
  const stays = there < place.current ? rules.stayingValue : 0
  const over = ofOwner >= rules.mostPerOwner ? never : 0
  return place.value + stays - rules.spreadCost * ofOwner - over
}

function bestOf(places: readonly Place[], worthOf: (place: Place) => number | undefined): Place | undefined {
  let best: { place: Place; worth: number } | undefined
  for (const place of places) {
    const found = worthOf(place)
    if (found !== undefined && (best === undefined || found > best.worth)) best = { place, worth: found }
  }
  return best?.place
}
