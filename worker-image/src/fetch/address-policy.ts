import { HansaError } from '@hansa/operator/process/errors.ts'
import { type Cidr, contains, mappedAddress, parseAddress, parseCidr } from './address.ts'

// IANA's special-purpose registries (RFC 6890 and its updates), multicast, and Azure's host address, which is not private.
const refusedIpv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map(cidr)

// Of IPv6 only global unicast is used; so loopback, mapped, NAT64, unique local, link-local and multicast are all outside.
const globalIpv6 = cidr('2000::/3')
const refusedIpv6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map(cidr)

/** Says which addresses sources may have: public ones, and those that the cluster admin lists. */
export type AddressPolicy = (address: string) => boolean

/** Throws SettingsInvalid for an entry that is no CIDR. */
export function addressPolicy(allowedCidrs: readonly string[]): AddressPolicy {
  const allowed = allowedCidrs.map(cidr)
  return (text) => {
    const address = parseAddress(text)
    if (address === undefined) return false
    const seen = [address, mappedAddress(address)].filter((each) => each !== undefined)
    if (allowed.some((range) => seen.some((each) => contains(range, each)))) return true
    if (address.bits === 32) return !refusedIpv4.some((range) => contains(range, address))
    return contains(globalIpv6, address) && !refusedIpv6.some((range) => contains(range, address))
  }
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text)
  if (parsed !== undefined) return parsed
  throw new HansaError('SettingsInvalid', `${JSON.stringify(text)} is no address range such as 10.0.0.0/8`, {
    retry: 'never',
    hint: 'HANSA_FETCH_ALLOWED_CIDRS is a comma-separated list; the bits after the prefix must be 0',
  })
}
