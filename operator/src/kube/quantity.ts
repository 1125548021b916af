const factors: Readonly<Record<string, bigint>> = {
  n: 1n,
  u: 1_000n,
  m: 1_000_000n,
  '': 1_000_000_000n,
  k: 1_000_000_000_000n,
  M: 10n ** 15n,
  G: 10n ** 18n,
  T: 10n ** 21n,
  P: 10n ** 24n,
  E: 10n ** 27n,
  Ki: 2n ** 10n * 10n ** 9n,
  Mi: 2n ** 20n * 10n ** 9n,
  Gi: 2n ** 30n * 10n ** 9n,
  Ti: 2n ** 40n * 10n ** 9n,
  Pi: 2n ** 50n * 10n ** 9n,
  Ei: 2n ** 60n * 10n ** 9n,
}

/** A Kubernetes quantity in billionths, rounded up as the API server does; undefined for what is none. */
export function parseQuantity(text: string): bigint | undefined {
  const match = /^([+-]?)(\d{0,40})(?:\.(\d{0,40}))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', suffix = '', exponent] = match
  if (whole === '' && fraction === '') return undefined
  const power = exponent === undefined ? 0 : Number(exponent)
  const factor = factors[suffix]
  if (factor === undefined) return undefined
  const dividend = BigInt(whole + fraction) * factor * 10n ** BigInt(Math.max(0, power))
  const divisor = 10n ** BigInt(fraction.length + Math.max(0, -power))
  const size = (dividend + divisor - 1n) / divisor
  return sign === '-' ? -size : size
}
