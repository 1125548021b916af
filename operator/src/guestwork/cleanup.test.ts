import { expect, test } from 'vitest'
import type { GuestWork, GuestWorkStatus } from '../api/guest-work.ts'
import { apiVersion } from '../api/resource.ts'
import { type Age, forgettableAt } from './cleanup.ts'

const hour = 3_600_000
const week = 7 * 24 * hour
const created = Date.parse('2026-01-01T00:00:00Z')
const ended = created + 2 * hour
const expires = created + 24 * hour
const at = (time: number) => new Date(time).toISOString()
const condition = (type: string, status: 'True' | 'False') => ({
  type,
  status,
  reason: type,
  message: '',
  lastTransitionTime: at(ended),
})

function guest(status: GuestWorkStatus): GuestWork {
  return {
    apiVersion,
    kind: 'GuestWork',
    metadata: { name: 'g', creationTimestamp: at(created) },
    spec: { peerRef: { name: 'university' }, requestId: '', request: '' },
    status,
  }
}
const over: GuestWorkStatus = { decision: 'Ended', conditions: [condition('Granted', 'False')] }
const answered = (taken: number): GuestWorkStatus => ({
  ...over,
  outbox: [{ kind: 'Answer', sequence: 3, envelope: '{}' }],
  delivered: [{ kind: 'Answer', sequence: taken }],
})
const age: Age = { peerGone: false, requestExpires: undefined, now: expires }

test.each<[string, GuestWorkStatus, Partial<Age>, number | undefined]>([
  ['ended, and the peer knows: an hour after the end', answered(3), {}, ended + hour],
  ['ended, and the peer has only an older answer: a week after the end', answered(2), {}, ended + week],
  ['ended, and nothing was delivered: a week after the end', over, {}, ended + week],
  ['ended before its request expires: then', answered(3), { requestExpires: expires }, expires],
  ['still with objects: never', { ...over, local: { namespace: 'guests' } }, {}, undefined],
  ['granted: never', { decision: 'Granted' }, { peerGone: true }, undefined],
  ['refused: never, it may yet be granted', { decision: 'Refused' }, {}, undefined],
  ['undecided: never', {}, {}, undefined],
  ['not authentic: after an hour', { conditions: [condition('Authentic', 'False')] }, {}, ended + hour],
  ['of a peer that is gone: at once', over, { peerGone: true }, created],
  ['of a peer that is gone, request not expired: then', {}, { peerGone: true, requestExpires: expires }, expires],
])('%s', (_, status, changes, expected) => {
  expect(forgettableAt(guest(status), { ...age, ...changes })).toBe(expected)
})
