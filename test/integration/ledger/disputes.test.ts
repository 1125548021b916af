import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { call, claimsOf, join2, type LedgerOwnerOptions, lend, startLedgerOwner, write } from './two-ledgers.ts'

type Body = { kind: string; message: Record<string, unknown> & { units: Record<string, number> } }

/** Two owners that are joined, one of whose ledgers changes what it has signed. */
async function scene(options: LedgerOwnerOptions = {}, clinicOptions: LedgerOwnerOptions = {}) {
  const clinic = await startLedgerOwner('clinic', clinicOptions)
  const university = await startLedgerOwner('university', options)
  join2(clinic, university)
  return { clinic, university, lent: await lend(clinic, university) }
}

const lyingAbout = (change: (message: Body['message']) => object) => ({
  lie: (body: unknown) => {
    // Only what this test's own ledger asks to have signed comes here.
    const { kind, message, ...rest } = body as Body
    return kind === 'Claim' ? { kind, ...rest, message: { ...message, ...change(message) } } : body
  },
})

test.for<[string, string, LedgerOwnerOptions]>([
  [
    'sums that its receipts do not make',
    'SumsWrong',
    lyingAbout(({ units }) => ({ units: { ...units, outputTokens: 7 } })),
  ],
  ['another price', 'PriceNotGranted', lyingAbout(() => ({ price: { currency: 'EUR', microsPerGPUHour: 999_999 } }))],
  ['a root of other receipts', 'RootWrong', lyingAbout(() => ({ root: 'ab'.repeat(32) }))],
  [
    'more GPU seconds than there can be',
    'TooManyGPUSeconds',
    lyingAbout(({ units }) => ({ units: { ...units, reservedGPUSeconds: 1_000_000 } })),
  ],
])('a claim with %s is disputed on both sides: %s', async ([, reason, options]) => {
  const { clinic, university, lent } = await scene(options)
  await write(clinic, university, [call(lent), call(lent)])
  await eventually(async () => {
    const [first] = await claimsOf(university, 'Executor')
    expect(first?.state).toBe('Disputed')
    expect(first?.settlement?.settlement.disputes.map((each) => each.reason)).toContain(reason)
    const [heard] = await claimsOf(clinic, 'Requester')
    expect(heard?.settlement?.envelope).toBe(first?.settlement?.envelope)
  }, 20)
})

test('a request that was never sent, and an answer that was another one, are disputed by their receipts', async () => {
  const { clinic, university, lent } = await scene()
  const [good, made, changed] = [call(lent), call(lent), call(lent)]
  await write(clinic, university, [good])
  await university.book.served('clinic', made.receipt, made.salt)
  await clinic.book.sent('university', changed.sent)
  await clinic.book.seen('university', { ...changed.seen, response: 'ab'.repeat(32) })
  await university.book.served('clinic', changed.receipt, changed.salt)
  await eventually(async () => {
    const claims = await claimsOf(university, 'Executor')
    expect(claims.flatMap(({ leaves }) => leaves)).toHaveLength(3)
    const reasons = claims.flatMap(({ settlement }) => settlement?.settlement.disputes.map((each) => each.reason) ?? [])
    expect(reasons.sort()).toEqual(['CommitmentWrong', 'ReceiptUnknown'])
    // Each is in exactly one claim of the requester's books too.
    const heard = await claimsOf(clinic, 'Requester')
    expect(heard.flatMap(({ leaves }) => leaves).sort()).toEqual(claims.flatMap(({ leaves }) => leaves).sort())
  }, 30)
})

test('what is not agreed stops a grant, by GPU seconds alone too, and agreement lets it go on', async () => {
  const { clinic, university, lent } = await scene({ caps: { maxUnagreedReceipts: 5, maxUnagreedGPUSeconds: 50 } })
  const grant = { peer: 'clinic', requestId: lent.requestId, epoch: lent.epoch }
  await clinic.stopLedger()
  lent.guest.status = { ...lent.guest.status, gpuSeconds: 60 }
  lent.changed()
  await eventually(() => expect(university.book.problem('Executor', grant)).toBe('NotAgreed'), 20)
  expect(university.book.problem('Requester', grant)).toBeUndefined()
  await clinic.startLedger()
  await eventually(() => expect(university.book.problem('Executor', grant)).toBeUndefined(), 20)
})

test('ledgers and gateways that end at any moment lose and repeat nothing', async () => {
  const { clinic, university, lent } = await scene()
  const calls = Array.from({ length: 120 }, () => call(lent))
  for (let i = 0; i < calls.length; i += 20) {
    const batch = write(clinic, university, calls.slice(i, i + 20))
    if (i % 40 === 0) await university.restartLedger()
    else await clinic.restartLedger()
    await batch
    if (i === 60) {
      await university.book.close()
      await university.openBook()
    }
  }
  await eventually(async () => {
    const [made, heard] = [await claimsOf(university, 'Executor'), await claimsOf(clinic, 'Requester')]
    const leaves = made.flatMap((claim) => claim.leaves)
    expect(leaves).toHaveLength(120)
    expect(new Set(leaves).size).toBe(120)
    expect(made.map(({ state }) => state)).toEqual(made.map(() => 'Agreed'))
    expect(heard.flatMap((claim) => claim.leaves).sort()).toEqual([...leaves].sort())
  }, 40)
}, 90_000)

test('a ledger that was put back to an older state does not go on, and does with the books that it had', async () => {
  const { clinic, university, lent } = await scene()
  await write(clinic, university, [call(lent)])
  const witnessed = async () => (await clinic.store.witnessed('university'))?.checkpoint.size ?? 0
  await eventually(async () => expect(await witnessed()).toBe(2), 20)
  await university.stopLedger()
  await copyFile(join(university.folder, 'ledger.db'), join(university.folder, 'old.db'))
  await university.startLedger()
  await write(clinic, university, [call(lent)])
  await eventually(async () => expect(await witnessed()).toBe(4), 20)
  await university.restartLedger({ file: 'old.db' })
  await eventually(() => expect(university.ledger.problem()).toContain('clinic has seen 4'), 20)
  await write(clinic, university, [call(lent)])
  expect((await university.store.head('main')).size).toBe(2)
  await university.restartLedger({ file: 'ledger.db' })
  await eventually(async () => {
    expect(university.ledger.problem()).toBeUndefined()
    const claims = await claimsOf(university, 'Executor')
    expect(claims.flatMap(({ leaves }) => leaves)).toHaveLength(3)
    expect(claims.map(({ state }) => state)).toEqual(claims.map(() => 'Agreed'))
  }, 30)
  await rm(join(university.folder, 'old.db'), { force: true })
}, 90_000)

test('a log that shows another past is noticed by its witness, and not cosigned', async () => {
  let lies = false
  const { clinic, university, lent } = await scene({
    lie: (body) => {
      const { kind, ...rest } = body as Body
      return lies && kind === 'Checkpoint'
        ? { kind, ...rest, message: { ...rest.message, root: 'ab'.repeat(32) } }
        : body
    },
  })
  await write(clinic, university, [call(lent)])
  await eventually(async () => expect((await clinic.store.witnessed('university'))?.checkpoint.size).toBe(2), 20)
  lies = true
  await write(clinic, university, [call(lent)])
  await eventually(async () => {
    expect(await clinic.ledgerRegistry.metrics()).toMatch(/hansa_ledger_forks_total\{peer="university"\} [1-9]/)
  }, 20)
  expect((await clinic.store.witnessed('university'))?.checkpoint.size).toBe(2)
  expect(await university.store.cosignatures('main', 4)).toEqual([])
  const events = await clinic.store.events(0, 100)
  expect(events.map(({ reason }) => reason)).toContain('LogForked')
})

test('a peer that is frozen for a while is told everything when it is back', async () => {
  const { clinic, university, lent } = await scene()
  const suspend = (value: boolean) => {
    clinic.cluster.peers = clinic.cluster.peers.map((peer) => ({ ...peer, spec: { ...peer.spec, suspend: value } }))
    clinic.cluster.changed()
  }
  await write(clinic, university, [call(lent)])
  await eventually(async () => expect((await claimsOf(university, 'Executor'))[0]?.state).toBe('Agreed'), 20)
  suspend(true)
  await write(clinic, university, [call(lent), call(lent)])
  await eventually(async () => {
    const claims = await claimsOf(university, 'Executor')
    expect(claims.flatMap(({ leaves }) => leaves)).toHaveLength(3)
    expect(claims.at(-1)?.state).toBe('Claimed')
  }, 20)
  suspend(false)
  await eventually(async () => {
    expect((await claimsOf(university, 'Executor')).map(({ state }) => state)).not.toContain('Claimed')
  }, 40)
}, 90_000)
