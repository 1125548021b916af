import { expect, test } from 'vitest'
import { leaseJson } from './lease-json.ts'

const lease = {
  epoch: 7,
  ttlSeconds: 90,
  grantedTime: '2026-01-01T00:00:00.000Z',
  expiresTime: '2026-01-01T00:01:30.000Z',
  renewals: 2,
}

test('serving workers get the whole time, training workers two thirds', () => {
  expect(JSON.parse(leaseJson('Serve', lease))).toEqual({
    epoch: 7,
    renewals: 2,
    ttlSeconds: 90,
    expires: '2026-01-01T00:01:30.000Z',
  })
  expect(JSON.parse(leaseJson('Train', lease))).toMatchObject({ ttlSeconds: 60 })
})
