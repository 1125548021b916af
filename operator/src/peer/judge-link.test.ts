import { expect, test } from 'vitest'
import { peerOf, testOwner } from '../../../test/builders/federation.ts'
import type { PeerStatus } from '../api/peer.ts'
import { judgeCompatible, judgeConnected } from './judge-link.ts'

const base = peerOf(await testOwner('university'))
type Link = NonNullable<PeerStatus['links']>[number]
const link = (replica: string, change: Partial<Link> = {}): Link => ({
  replica,
  connected: true,
  direction: 'Outbound',
  protocolVersion: 1,
  ...change,
})
const down = (replica: string) => link(replica, { connected: false, direction: 'None', message: 'connection refused' })
const view = (links: Link[], alive: readonly string[]) => ({
  peer: { ...base, status: { ...base.status, links } },
  verified: true,
  suspendedBy: undefined,
  goodbye: undefined,
  isAlive: (pod: string) => alive.includes(pod),
})

test('one pod that can call is enough', () => {
  expect(judgeConnected(view([down('a'), link('b')], ['a', 'b'])).reason).toBe('Connected')
})

test('a pod that is gone does not count, whatever it wrote last', () => {
  const verdict = judgeConnected(view([link('a'), down('b')], ['b']))
  expect(verdict).toEqual({ reason: 'NotConnected', message: 'b: connection refused' })
  expect(judgeConnected(view([link('a')], [])).reason).toBe('NotConnected')
  expect(judgeCompatible(view([link('a')], [])).reason).toBe('NotKnownYet')
})

test.for([
  ['NotVerified', { verified: false }],
  ['Suspended', { suspendedBy: 'spec.suspend is true' }],
  ['PeerLeft', { goodbye: 'Left' }],
  ['PeerFrozeUs', { goodbye: 'Frozen' }],
  ['Connected', { goodbye: 'Back' }],
] as const)('%s comes before what the connections say', ([reason, change]) => {
  expect(judgeConnected({ ...view([link('a')], ['a']), ...change }).reason).toBe(reason)
})

test('the version is that of a connection that lives, else of the last attempt', () => {
  const none = link('a', { connected: false, protocolVersion: 0, message: 'they speak 3' })
  expect(judgeCompatible(view([none, link('b')], ['a', 'b'])).reason).toBe('SameVersion')
  expect(judgeCompatible(view([none], ['a']))).toEqual({ reason: 'NoCommonVersion', message: 'they speak 3' })
  const { protocolVersion: _none, ...untold } = down('a')
  expect(judgeCompatible(view([untold], ['a'])).reason).toBe('NotKnownYet')
})
