import { expect, test } from 'vitest'
import type { GuestWork } from '../api/guest-work.ts'
import { bandOf } from './offers.ts'
import { type Facts, plan } from './plan.ts'
import { vetoOf } from './veto.ts'

function facts(decision: 'Granted' | 'Ended' | undefined, changes: Partial<Facts> = {}): Facts {
  const guest: GuestWork = {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'GuestWork',
    metadata: { name: 'g' },
    spec: { peerRef: { name: 'university' }, requestId: '0b6ff8a1-0000-4000-8000-000000000001', request: '{}' },
    status: { decision },
  }
  return {
    guest,
    peerGone: false,
    authentic: true,
    recovered: true,
    cancelled: false,
    veto: undefined,
    frozen: undefined,
    decide: () => ({ decision: 'Granted', policyName: 'p', leaseSeconds: 60 }),
    stillAllowed: () => [],
    preempted: false,
    leaseOver: () => false,
    ...changes,
  }
}
const outcome = (input: Facts) => {
  const next = plan(input)
  return next.do === 'End' ? next.reason : next.do
}
const stop = { action: 'Stop' as const, message: 'no' }
const closed = { reason: 'OutsideWindow' as const, message: '' }
const smaller = { reason: 'QuotaExceeded' as const, message: '' }

test.each<[string, string, Facts]>([
  ['is granted', 'Grant', facts(undefined)],
  ['waits for the confirmation of the peer', 'Hold', facts(undefined, { recovered: false })],
  ['is never decided when it is not authentic', 'Wait', facts(undefined, { authentic: false })],
  ['is cancelled before it is decided', 'Cancelled', facts(undefined, { cancelled: true })],
  ['is vetoed before it is decided', 'Vetoed', facts(undefined, { veto: stop })],
  ['is refused while frozen', 'Refuse', facts(undefined, { frozen: 'frozen' })],
  ['keeps its lease', 'Keep', facts('Granted')],
  [
    'keeps its lease while the peer cannot be verified or confirmed',
    'Keep',
    facts('Granted', { authentic: undefined, recovered: false }),
  ],
  ['ends by veto', 'Vetoed', facts('Granted', { veto: stop })],
  ['ends by an order to make room', 'Preempted', facts('Granted', { veto: { ...stop, action: 'Preempt' } })],
  ['ends by a freeze', 'Frozen', facts('Granted', { frozen: 'frozen' })],
  ['ends with the Peer', 'PolicyChanged', facts('Granted', { peerGone: true })],
  ['ends when its time is over', 'LeaseExpired', facts('Granted', { leaseOver: () => true })],
  ['ends for pods of our own', 'Preempted', facts('Granted', { preempted: true })],
  ['ends with the window', 'WindowClosed', facts('Granted', { stillAllowed: () => [closed] })],
  ['ends when the policy changed', 'PolicyChanged', facts('Granted', { stillAllowed: () => [closed, smaller] })],
  ['stays ended, whatever is allowed', 'StayEnded', facts('Ended')],
])('work %s', (_what, expected, input) => {
  expect(outcome(input)).toBe(expected)
})

test('an order of the admin is read as it was meant, and stops when it is not understood', () => {
  const veto = (text: string) => vetoOf({ metadata: { name: 'g', annotations: { 'hansa.dev/veto': text } } })
  expect(veto('preempt: we need it')).toEqual({ action: 'Preempt', message: 'we need it' })
  expect(veto('Stop: now')).toEqual({ action: 'Stop', message: 'now' })
  expect(veto('stop')).toEqual({ action: 'Stop', message: 'no reason was given' })
  expect(veto('away with it')).toEqual({ action: 'Stop', message: 'away with it' })
  expect(vetoOf({ metadata: { name: 'g' } })).toBeUndefined()
})

test('free GPUs are told in bands', () => {
  expect([0, 1, 3, 4, 15, 16, 400].map(bandOf)).toEqual(['None', 'Few', 'Few', 'Some', 'Some', 'Many', 'Many'])
})
