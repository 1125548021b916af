import { isIPv4, isIPv6 } from 'node:net'

/** An IP address as a number of 32 or 128 bits. */
export type Address = { bits: 32 | 128; value: bigint }
export type Cidr = Address & { prefix: number }

/** Undefined for anything but a plain IPv4 or IPv6 address; one with a zone is refused too. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: 32, value: joined(text.split('.').map(Number), 8n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  const plain = dotted === null ? text : `${dotted[1]}${hexGroups(dotted[2] ?? '')}`
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0)
  return { bits: 128, value: joined([...before, ...zeros, ...after], 16n) }
}

/** `10.0.0.0/8`, `fd00::/8`, or a single address. Undefined when it is neither, or has bits beyond its prefix. */
export function parseCidr(text: string): Cidr | undefined {
  const [base = '', length, ...more] = text.split('/')
  const address = parseAddress(base)
  if (address === undefined || more.length > 0) return undefined
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined
  const prefix = length === undefined ? address.bits : Number(length)
  if (prefix > address.bits) return undefined
  const cidr = { ...address, prefix }
  return (cidr.value & ((1n << BigInt(cidr.bits - prefix)) - 1n)) === 0n ? cidr : undefined
}

/** Whether `address` lies in `cidr`; never across families. */
export function contains(cidr: Cidr, address: Address): boolean {
  const rest = BigInt(cidr.bits - cidr.prefix)
  return cidr.bits === address.bits && cidr.value >> rest === address.value >> rest
}

/** The IPv4 address inside an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2). */
export function mappedAddress(address: Address): Address | undefined {
  if (address.bits !== 128 || address.value >> 32n !== 0xffffn) return undefined
  return { bits: 32, value: address.value & 0xffffffffn }
}

function joined(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((value, part) => (value << width) | BigInt(part), 0n)
}

function hexGroups(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}
