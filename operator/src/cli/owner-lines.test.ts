import { expect, test } from 'vitest'
import { atPeer, knownPeer } from '../../../test/builders/peer.ts'
import { memoryIo } from './memory-io.ts'
import { ownerLines, ownerTree } from './owner-lines.ts'

const io = memoryIo()
const base = { peer: 'university', wanted: 2, remoteWork: 'chat-university-0a1b2c3d' }

test('a peer that runs all is one line', () => {
  expect(ownerLines([{ ...base, answer: 'Granted', lease: 'Active', readyReplicas: 2 }], io, '  ')).toEqual([
    '  + peer university: granted, lease active, 2 of 2 ready (RemoteWork chat-university-0a1b2c3d)',
  ])
})

test('every reason of a refusal has a line', () => {
  const refusals = [
    { reason: 'OutsideWindow', message: 'the window night opens at 20:00' },
    { reason: 'QuotaExceeded', message: '4 of 4 GPUs are lent' },
  ]
  const lines = ownerLines(
    [{ ...base, answer: 'Refused', lease: 'None', reason: 'Refused', message: 'both of it', refusals }],
    io,
    '  ',
  )
  expect(lines).toEqual([
    '  x peer university: refused, 0 of 2 ready (RemoteWork chat-university-0a1b2c3d)',
    '    OutsideWindow: the window night opens at 20:00',
    '    QuotaExceeded: 4 of 4 GPUs are lent',
    '    Change the request, or ask the admin of the peer.',
  ])
})

test('what is not known is marked so, and says what to do', () => {
  const lines = ownerLines(
    [
      {
        ...base,
        answer: 'Granted',
        lease: 'Uncertain',
        readyReplicas: 2,
        reason: 'LeaseUncertain',
        message: 'not heard of in time',
      },
      { ...base, answer: 'Pending', lease: 'None', reason: 'EgressDenied', message: 'no EgressPolicy names it' },
    ],
    io,
    '',
  )
  expect(lines).toEqual([
    '? peer university: granted, lease uncertain, 2 of 2 ready (RemoteWork chat-university-0a1b2c3d)',
    '  LeaseUncertain: not heard of in time',
    '  See the Peer; check the network.',
    'x peer university: pending, 0 of 2 ready (RemoteWork chat-university-0a1b2c3d)',
    '  EgressDenied: no EgressPolicy names it',
    '  Ask the cluster admin for an EgressPolicy.',
  ])
})

test('two clusters of one owner are below that owner', () => {
  const peers = [knownPeer('lab', 'university'), knownPeer('gpu', 'university'), knownPeer('ward', 'clinic')]
  const owners = [atPeer('lab', 2), { ...atPeer('ward', 1), readyReplicas: 0 }, atPeer('gpu', 1)]
  expect(ownerTree(owners, peers, io, '  ')).toEqual([
    '  owner university: 3 of 3 ready',
    '    + peer lab: granted, lease active, 2 of 2 ready',
    '    + peer gpu: granted, lease active, 1 of 1 ready',
    '  owner clinic: 0 of 1 ready',
    '    + peer ward: granted, lease active, 0 of 1 ready',
  ])
})

test('who may not read Peers sees each for itself', () => {
  expect(ownerTree([atPeer('lab', 2)], undefined, io, '')).toEqual([
    'owner of peer lab: 2 of 2 ready',
    '  + peer lab: granted, lease active, 2 of 2 ready',
  ])
})
