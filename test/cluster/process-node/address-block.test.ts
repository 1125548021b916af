import { expect, test } from 'vitest'
import { claimAddressBlock } from './address-block.ts'

test('two holders never get the same block, and a block is free again when it is closed', async () => {
  const always = () => 0.5
  const first = await claimAddressBlock('pods', always)
  await expect(claimAddressBlock('pods', always)).rejects.toMatchObject({ reason: 'NoAddresses' })
  await first.close()
  const again = await claimAddressBlock('pods', always)
  expect(again.own).toBe(first.own)
  await again.close()
})

test('pods and services get addresses of ranges apart', async () => {
  const [pods, services] = await Promise.all([claimAddressBlock('pods'), claimAddressBlock('services')])
  expect(Number(pods.own.split('.')[1])).toBeLessThan(128)
  expect(Number(services.own.split('.')[1])).toBeGreaterThanOrEqual(128)
  await Promise.all([pods.close(), services.close()])
})

test('addresses are all different, come back last, and run out at 253', async () => {
  const block = await claimAddressBlock('pods')
  const taken = Array.from({ length: 253 }, () => block.take())
  expect(new Set([...taken, block.own]).size).toBe(254)
  expect(() => block.take()).toThrow('in use')
  const [first = '', second = ''] = taken
  block.release(second)
  block.release(first)
  block.release(first)
  expect([block.take(), block.take()]).toEqual([second, first])
  expect(() => block.take()).toThrow('in use')
  await block.close()
})
