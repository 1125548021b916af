/** A chance this small that nothing is wrong counts as proof that something is; it is asked for once a second. */
const proof = 0.001
/** Standard deviations that hold the upper end of a one-sided 95 % interval. */
const deviations = 1.645

/** Whether `hits` of `total` prove a share above `limit` (0..1): that many would come by chance less than once in a thousand times. */
export function exceeds(hits: number, total: number, limit: number): boolean {
  if (total === 0 || hits / total <= limit) return false
  return binomialTail(hits, total, limit) < proof
}

/** Upper end of the 95 % confidence interval of a share (Wilson 1927); 0 where nothing was counted. */
export function upperShare(hits: number, total: number): number {
  if (total === 0) return 0
  const share = hits / total
  const square = deviations * deviations
  const middle = share + square / (2 * total)
  const width = deviations * Math.sqrt((share * (1 - share)) / total + square / (4 * total * total))
  return Math.min(1, (middle + width) / (1 + square / total))
}

/** The quantile that is, 19 times of 20, at least the wanted one of what `total` samples were drawn from. */
export function upperQuantile(quantile: number, total: number): number {
  return Math.min(1, quantile + deviations * Math.sqrt((quantile * (1 - quantile)) / Math.max(1, total)))
}

/** The chance of `hits` or more of `total` where each hits with chance `share`; for hits above what is expected. */
export function binomialTail(hits: number, total: number, share: number): number {
  if (hits <= 0 || share >= 1) return 1
  if (share <= 0) return 0
  const odds = share / (1 - share)
  let term = Math.exp(
    logFactorial(total) -
      logFactorial(hits) -
      logFactorial(total - hits) +
      hits * Math.log(share) +
      (total - hits) * Math.log1p(-share),
  )
  let sum = term
  for (let k = hits; k < total; k++) {
    term *= ((total - k) / (k + 1)) * odds
    sum += term
    if (term < sum * 1e-9) break
  }
  return Math.min(1, sum)
}

/** ln(n!), by Stirling's series where n is large. */
function logFactorial(n: number): number {
  if (n < 20) {
    let sum = 0
    for (let i = 2; i <= n; i++) sum += Math.log(i)
    return sum
  }
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n) - 1 / (360 * n ** 3)
}
