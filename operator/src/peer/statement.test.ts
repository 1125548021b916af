import { expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import { nonceOf } from '../../../test/builders/join.ts'
import { leaveAnnotation, type Peer } from '../api/peer.ts'
import { openMessage } from '../federation/open-message.ts'
import { createSeal } from '../federation/seal-message.ts'
import { statementSeconds, statementsOf } from './statement.ts'

const start = Date.parse('2026-03-01T12:00:00Z')
const { signal } = new AbortController()

async function setUp() {
  const us = await testOwner('clinic', { now: start })
  const them = await testOwner('university', { now: start })
  let now = start
  const seal = createSeal({ clock: { now: () => now }, sealingOf: async () => us })
  let peer = peerOf(them)
  const say = async (change: Partial<Parameters<typeof statementsOf>[0]> = {}) => {
    const input = { peer, identity: identityOf(us), own: us.bundle, asks: nonceOf('first'), epochSeen: 0, now }
    const { told, ...statement } = await statementsOf({ ...input, heard: undefined, ...change }, seal, signal)
    peer = { ...peer, status: { ...peer.status, statement, ...(told !== undefined && { told }) } }
    return statement
  }
  return {
    us,
    them,
    say,
    pass: (seconds: number) => {
      now += seconds * 1000
    },
    change: (next: (before: Peer) => Peer) => {
      peer = next(peer)
    },
    read: (kind: 'Confirmation' | 'Goodbye', envelope = '') => opened(kind, envelope, us, them, now),
  }
}

/** As the other side reads it. */
function opened(kind: 'Confirmation' | 'Goodbye', envelope: string, us: TestOwner, them: TestOwner, now: number) {
  const result = openMessage(kind, envelope, { peer: peerOf(us), ownBundle: them.bundle, now })
  if (!result.ok) throw new Error(result.problem.message)
  return result.message
}

test('a statement stays as it is while there is nothing new to say', async () => {
  const { say, pass, read } = await setUp()
  const { outgoing, goodbye } = await say()
  expect(read('Confirmation', outgoing)).toMatchObject({ asks: nonceOf('first'), epoch: 0, incarnation: 0 })
  expect(goodbye).toBeUndefined()
  pass(3600)
  expect((await say()).outgoing).toBe(outgoing)
})

test('it is said anew after half of its time, with a new question, and with a new epoch', async () => {
  const { say, pass, read } = await setUp()
  let before = (await say()).outgoing
  const differs = async (change: Parameters<typeof say>[0]) => {
    const { outgoing } = await say(change)
    const grows = read('Confirmation', outgoing).sequence > read('Confirmation', before).sequence
    const isNew = outgoing !== before
    before = outgoing
    return isNew && grows
  }
  pass(statementSeconds / 2 + 1)
  expect(await differs({})).toBe(true)
  expect(await differs({ asks: nonceOf('second') })).toBe(true)
  expect(await differs({ asks: nonceOf('second'), epochSeen: 7 })).toBe(true)
})

test('the highest epoch is not taken back when its lease is gone', async () => {
  const { say, read } = await setUp()
  await say({ epochSeen: 1_000_004 })
  expect(read('Confirmation', (await say({ epochSeen: 0 })).outgoing)).toMatchObject({ epoch: 1_000_004 })
})

test('each question of the peer gets a number of its own, and the same one when it is heard again', async () => {
  const { say, read } = await setUp()
  const ask = async (asks: string) => {
    const heard = { asks, ownIncarnation: 0 } as Parameters<typeof statementsOf>[0]['heard']
    const said = read('Confirmation', (await say({ heard })).outgoing)
    return 'incarnation' in said ? [said.answers, said.incarnation] : undefined
  }
  expect(await ask(nonceOf('a'))).toEqual([nonceOf('a'), 1])
  expect(await ask(nonceOf('a'))).toEqual([nonceOf('a'), 1])
  expect(await ask(nonceOf('b'))).toEqual([nonceOf('b'), 2])
})

test('a statement that a revoked key signed is signed anew', async () => {
  const { us, say } = await setUp()
  const { outgoing } = await say()
  const own = { ...us.bundle, revoked: [us.keys.Grant.keyId] }
  expect((await say({ own })).outgoing).not.toBe(outgoing)
})

test('freezing, coming back and leaving are said, and nothing before', async () => {
  const { say, read, change, us } = await setUp()
  expect((await say()).goodbye).toBeUndefined()
  change((peer) => ({ ...peer, spec: { ...peer.spec, suspend: true } }))
  expect(read('Goodbye', (await say()).goodbye)).toMatchObject({ state: 'Frozen' })
  change((peer) => ({ ...peer, spec: { ...peer.spec, suspend: false } }))
  const back = (await say()).goodbye
  expect(read('Goodbye', back)).toMatchObject({ state: 'Back' })
  expect((await say()).goodbye).toBe(back)
  const frozen = { ...identityOf(us), spec: { ...identityOf(us).spec, suspend: true } }
  expect(read('Goodbye', (await say({ identity: frozen })).goodbye)).toMatchObject({ state: 'Frozen' })
  change((peer) => ({ ...peer, metadata: { ...peer.metadata, annotations: { [leaveAnnotation]: 'now' } } }))
  expect(read('Goodbye', (await say()).goodbye)).toMatchObject({ state: 'Left' })
})
