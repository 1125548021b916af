/** What one owner has of a layer. The two differ where it is not known, as at a peer that is not heard of. */
export type Holding = { readonly least: number; readonly most: number }

/** A figure that is known, or the two that it lies between. */
export type Range = { readonly least: number; readonly most: number }

export type Measures = {
  /** Owners that have any of it. */
  readonly owners: Range
  /** Largest share of one owner in per mille, rounded up, so that what is shown as allowed is allowed. */
  readonly largestSharePermille: Range
  /** Herfindahl-Hirschman index, 0 to 10,000: the sum of the squared shares in percent. Of what was last heard. */
  readonly herfindahl: number
  /** Nakamoto coefficient: fewest owners whose loss leaves less than `need`. 0: there is less already. */
  readonly ownersToStop: Range
}

/** Measures how far a layer is spread over owners, one holding for each; `need` is how much it takes to go on. */
export function measure(holdings: readonly Holding[], need: number): Measures {
  const least = holdings.map((each) => each.least)
  const most = holdings.map((each) => each.most)
  return {
    owners: { least: count(least), most: count(most) },
    largestSharePermille: largestShare(holdings),
    herfindahl: herfindahl(most),
    ownersToStop: { least: ownersToLeave(least, need), most: ownersToLeave(most, need) },
  }
}

/**
 * Fewest owners whose loss leaves less than `need`: the largest go first, so no other choice of as many takes more away.
 * With more of anything the number is never smaller, which is why the two ends of `measure` are its bounds.
 */
export function ownersToLeave(amounts: readonly number[], need: number): number {
  let left = amounts.reduce((sum, each) => sum + each, 0)
  let lost = 0
  for (const amount of amounts.toSorted((a, b) => b - a)) {
    if (left < need || amount === 0) break
    left -= amount
    lost += 1
  }
  return lost
}

/** Herfindahl-Hirschman index: 10,000 at one owner, 10,000 / n at n alike. 0 where there is nothing. */
export function herfindahl(amounts: readonly number[]): number {
  const total = amounts.reduce((sum, each) => sum + each, 0)
  if (total === 0) return 0
  return Math.round((10_000 * amounts.reduce((sum, each) => sum + each * each, 0)) / (total * total))
}

function count(amounts: readonly number[]): number {
  return amounts.filter((each) => each > 0).length
}

/** An owner's share is largest when it has its most and all others their least, and the other way round. */
function largestShare(holdings: readonly Holding[]): Range {
  const sum = (end: 'least' | 'most') => holdings.reduce((total, each) => total + each[end], 0)
  const all = { least: sum('least'), most: sum('most') }
  const shares = holdings.map(({ least, most }) => ({
    least: share(least, all.most - most + least),
    most: share(most, all.least - least + most),
  }))
  const owners = count(holdings.map(({ most }) => most))
  return {
    // Of n owners one has at least an n-th.
    least: Math.max(owners === 0 ? 0 : Math.ceil(1000 / owners), ...shares.map(({ least }) => least)),
    most: Math.max(0, ...shares.map(({ most }) => most)),
  }
}

function share(amount: number, total: number): number {
  return amount === 0 ? 0 : Math.ceil((1000 * amount) / total)
}
