const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** Reads a Kubernetes quantity such as `500m` or `1Gi`; NaN where it is none. */
export function parseQuantity(text: string): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]{0,2}))$/.exec(text)
  if (!match) return Number.NaN
  const [, digits = '', exponent = '', suffix = ''] = match
  return Number(`${digits}${exponent}`) * (factors[suffix] ?? Number.NaN)
}

/** A quantity in whole divisors, rounded up, as the downward API shows it. */
export function inDivisors(quantity: string, divisor = '1'): string {
  const unit = parseQuantity(divisor)
  // Rounding first keeps 0.1 / 0.001 from becoming 101.
  return String(Math.ceil(Number((parseQuantity(quantity) / (unit > 0 ? unit : 1)).toPrecision(12))))
}
