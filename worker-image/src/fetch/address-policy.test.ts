import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contains, parseAddress, parseCidr } from './address.ts'
import { addressPolicy } from './address-policy.ts'

test.each([
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
])('the public address %s is allowed', (address) => {
  expect(addressPolicy([])(address)).toBe(true)
})

test.each([
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.255',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '192.0.0.192',
  '192.168.0.1',
  '198.19.255.255',
  '224.0.0.251',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:10.0.0.1',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '64:ff9b::8.8.8.8',
  '64:ff9b:1::1',
  '2001:db8::1',
  '2001::1',
  '2002:7f00:1::',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'not an address',
  '',
])('the address %j is refused', (address) => {
  expect(addressPolicy([])(address)).toBe(false)
})

test('a listed range is allowed, also in its mapped form, and nothing beside it', () => {
  const policy = addressPolicy(['10.1.0.0/16', 'fd12:3456::/32'])
  const seen = ['10.1.255.1', '::ffff:10.1.0.9', 'fd12:3456::7', '10.2.0.1', 'fd12:3457::1'].map(policy)
  expect(seen).toEqual([true, true, true, false, false])
})

test.each([
  '10.0.0.0/33',
  '10.0.0.1/8',
  '10.0.0.0/',
  'fd00::/129',
  'localhost',
  '10.0.0.0/8/8',
  '::1%lo/128',
])('the range %s is a mistake in the settings', (range) => {
  expect(() => addressPolicy([range])).toThrow('is no address range')
})

test('an IPv6 address means the same however it is written', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }), (groups) => {
      const plain = groups.map((group) => group.toString(16)).join(':')
      const short = new URL(`https://[${plain}]/`).hostname.slice(1, -1)
      expect(parseAddress(short)).toEqual(parseAddress(plain))
    }),
  )
})

test('a range holds exactly the addresses that share its prefix', () => {
  fc.assert(
    fc.property(fc.nat(0xffffff), fc.integer({ min: 8, max: 32 }), fc.nat(0xffffff), (low, prefix, other) => {
      const mask = prefix === 32 ? -1 : ~(2 ** (32 - prefix) - 1)
      const base = ((9 << 24) | low) & mask
      const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
      const cidr = parseCidr(`${dotted(base)}/${prefix}`)
      const address = parseAddress(dotted((9 << 24) | other))
      if (cidr === undefined || address === undefined) throw new Error('not parsed')
      expect(contains(cidr, address)).toBe((((9 << 24) | other) & mask) === base)
    }),
  )
})
