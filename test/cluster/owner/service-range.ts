/** The first address of an IPv4 range in CIDR notation, which the API server gives to the `kubernetes` service. */
export function firstAddress(range: string): string {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/\d+$/.exec(range)
  if (!match) throw new Error(`service range ${range} must be IPv4 in CIDR notation, such as 10.96.0.0/16`)
  return `${match[1]}.${match[2]}.${match[3]}.${Number(match[4]) + 1}`
}
