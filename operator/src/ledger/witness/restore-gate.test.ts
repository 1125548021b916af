import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../../test/builders/federation.ts'
import { receipt, saltOf } from '../../../../test/builders/ledger.ts'
import { systemClock } from '../../kube/clock.ts'
import { createLogger } from '../../process/log.ts'
import { peerAnswers } from '../answer-peer.ts'
import type { LedgerDeps } from '../deps.ts'
import { ledgerMetrics } from '../metrics.ts'
import { createLedgerStore } from '../store/create-store.ts'
import { openSqlite } from '../store/sqlite-database.ts'
import { recordTaker } from '../take-records.ts'
import { restoreGate } from './restore-gate.ts'

const gateway = 'ab'.repeat(16)
const records = [{ kind: 'Served', at: 1, peer: 'clinic', receipt: receipt(1), salt: saltOf(1) }]

function scene(own: TestOwner, other: TestOwner) {
  const time = { monotonic: 0, answers: false }
  const peer = peerOf(other, 'clinic')
  const known = { name: 'clinic', peer, identity: 'main', ownBundle: own.bundle }
  const deps: LedgerDeps = {
    store: createLedgerStore(openSqlite(':memory:')),
    peers: { get: () => known, list: () => [known], identities: () => [identityOf(own)] },
    sign: () => Promise.reject(new Error('nothing may be signed')),
    ask: () => (time.answers ? Promise.resolve({ kind: 'Seen' }) : Promise.reject(new Error('nobody answers'))),
    times: {
      ...{ claimMilliseconds: 1, deliverMilliseconds: 1, checkpointMilliseconds: 1 },
      ...{ settleWaitMilliseconds: 1, restoreWaitMilliseconds: 1000 },
    },
    caps: { maxUnagreedReceipts: 1, maxUnagreedGPUSeconds: 1 },
    retention: { saltDays: 1, receiptDays: 1 },
    clock: { ...systemClock, monotonic: () => time.monotonic },
    log: createLogger('ledger', 'silent'),
    metrics: ledgerMetrics(new Registry()),
    signal: new AbortController().signal,
  }
  const gate = restoreGate(deps)
  const take = recordTaker(deps, gate, () => [])
  return { time, deps, gate, take, answer: peerAnswers(deps, gate) }
}

const [own, other] = await Promise.all(['university', 'clinic'].map((name) => testOwner(name)))
if (own === undefined || other === undefined) throw new Error('no owners')

test('nothing is taken from gateways before a witness was heard, since newer books may be put in place', async () => {
  const { time, deps, gate, take } = scene(own, other)
  await expect(take({ gateway, first: 0, taken: 0, records })).rejects.toMatchObject({ reason: 'LedgerHalted' })
  expect(await deps.store.spoolPosition(gateway)).toBe(0)
  time.answers = true
  await gate.ask()
  expect(await take({ gateway, first: 0, taken: 0, records })).toMatchObject({ next: 1 })
})

test('without an answer records are taken after the waiting time, unless the books are older than a gateway knows', async () => {
  const patient = scene(own, other)
  patient.time.monotonic = 1000
  expect(await patient.take({ gateway, first: 0, taken: 0, records })).toMatchObject({ next: 1 })

  const { time, deps, gate, take } = scene(own, other)
  time.monotonic = 1000
  await expect(take({ gateway, first: 5, taken: 5, records })).rejects.toMatchObject({ reason: 'LedgerHalted' })
  expect(await deps.store.spoolPosition(gateway)).toBe(0)
  time.answers = true
  await gate.ask()
  expect(await take({ gateway, first: 5, taken: 5, records })).toMatchObject({ next: 6 })
})

test('no claim is judged and no checkpoint cosigned before a witness was heard', async () => {
  const { answer } = scene(own, other)
  expect(await answer('clinic', { kind: 'Claim', envelope: other.envelope })).toEqual({ kind: 'Pending' })
  const checkpoint = { kind: 'Checkpoint', envelope: other.envelope, from: 0, proof: [] }
  await expect(answer('clinic', checkpoint)).rejects.toMatchObject({ reason: 'LedgerHalted' })
})
