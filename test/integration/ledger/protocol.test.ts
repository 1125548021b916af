import { expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { call, claimsOf, join2, lend, startLedgerOwner, write } from './two-ledgers.ts'

test('what one owner does for another is claimed, agreed, logged and witnessed, each receipt once', async () => {
  const [clinic, university] = [await startLedgerOwner('clinic'), await startLedgerOwner('university')]
  join2(clinic, university)
  const lent = await lend(clinic, university)
  const calls = Array.from({ length: 25 }, () => call(lent))
  await write(clinic, university, calls)
  lent.guest.status = { ...lent.guest.status, gpuSeconds: 120 }
  lent.changed()
  await eventually(async () => {
    const claims = await claimsOf(university, 'Executor')
    expect(claims.flatMap(({ leaves }) => leaves)).toHaveLength(25)
    expect(claims.map(({ state }) => state)).toEqual(claims.map(() => 'Agreed'))
    expect(claims.reduce((sum, { claim }) => sum + claim.units.reservedGPUSeconds, 0)).toBe(120)
    expect(claims.reduce((sum, { claim }) => sum + claim.micros, 0)).toBe(12_000)
  }, 20)
  const [made, heard] = [await claimsOf(university, 'Executor'), await claimsOf(clinic, 'Requester')]
  expect(heard.map(({ envelope, leaves, settlement }) => ({ envelope, leaves, settlement }))).toEqual(
    made.map(({ envelope, leaves, settlement }) => ({ envelope, leaves, settlement })),
  )
  await eventually(async () => {
    const { size, root } = await university.store.head('main')
    expect(size).toBe(2 * made.length)
    expect(await university.store.cosignatures('main', size)).toMatchObject([
      { witness: 'clinic', cosignature: { size, root } },
    ])
    expect(await clinic.store.witnessed('university')).toMatchObject({ checkpoint: { size, root } })
  }, 20)
})
