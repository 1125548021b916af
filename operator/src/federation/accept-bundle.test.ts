import { assert, asyncProperty, constantFrom, shuffledSubarray } from 'fast-check'
import { expect, test } from 'vitest'
import { peerOf, testOwner } from '../../../test/builders/federation.ts'
import type { Peer } from '../api/peer.ts'
import { acceptBundle } from './accept-bundle.ts'
import { signBundle } from './bundle.ts'
import { dateTimeOf } from './date-time.ts'

const { signal } = new AbortController()
const now = Date.parse('2026-03-01T12:00:00Z')

const brought = (envelopes: readonly string[]) =>
  envelopes.map((bundle, n) => ({ replica: `link-${n}`, connected: true, direction: 'Inbound' as const, bundle }))

/** The peer as it is after what was accepted was written, with new bundles at its links. */
function next(peer: Peer, envelopes: readonly string[]): Peer {
  const { accepted } = acceptBundle(peer, now)
  const { bundle, envelope, rootKeys } = accepted ?? {}
  return {
    ...peer,
    status: {
      ...(bundle !== undefined &&
        envelope !== undefined && {
          rootKey: rootKeys?.at(-1),
          bundle: { sequence: bundle.sequence, notAfter: bundle.notAfter, envelope },
        }),
      links: brought(envelopes),
    },
  }
}

function joined(owner: Awaited<ReturnType<typeof testOwner>>, envelopes: readonly string[] = []): Peer {
  const peer = peerOf(owner)
  return { ...peer, spec: { ...peer.spec, bundle: owner.envelope }, status: { links: brought(envelopes) } }
}

test('the bundle of the join is taken, and each newer one in whatever order and number links bring them', async () => {
  const owner = await testOwner('clinic', { now })
  const first = joined(owner)
  const envelopes = [owner.envelope]
  for (let n = 0; n < 4; n++) envelopes.push(await owner.publish())
  await assert(
    asyncProperty(shuffledSubarray(envelopes), shuffledSubarray(envelopes), async (one, two) => {
      const sequenceOf = (envelope: string) => envelopes.indexOf(envelope) + 1
      let peer = next({ ...first, status: { links: brought(one) } }, two)
      expect(peer.status?.bundle?.sequence).toBe(Math.max(1, ...one.map(sequenceOf)))
      peer = next(peer, [])
      expect(peer.status?.bundle?.sequence).toBe(Math.max(1, ...[...one, ...two].map(sequenceOf)))
    }),
    { numRuns: 50 },
  )
})

test('two bundles of one sequence do not both count: the one in use stays, and the other is told', async () => {
  const owner = await testOwner('clinic', { now })
  const other = await signBundle({ ...owner.bundle, contact: 'somebody else' }, owner.root, signal)
  const { accepted, refused } = acceptBundle(joined(owner, [other]), now)
  expect(accepted?.envelope).toBe(owner.envelope)
  expect(refused).toMatchObject([{ from: 'link-0', problem: { reason: 'Rollback' } }])
})

test('a rotated root key is followed, and the one before is not heard any more', async () => {
  const owner = await testOwner('clinic', { now })
  const peer = joined(owner)
  const oldRoot = owner.root
  await owner.rotateRoot()
  const rotated = next(peer, [owner.envelope])
  const followed = acceptBundle(rotated, now)
  expect(followed.accepted?.rootKeys).toEqual([oldRoot.publicKey, owner.root.publicKey])
  const thief = { ...owner.bundle, rootKey: oldRoot.publicKey, rotations: [], sequence: 99 }
  for (const bundle of [thief, { ...thief, revokedAll: true }]) {
    const stolen = await signBundle(bundle, oldRoot, signal)
    const { accepted, refused } = acceptBundle(next(rotated, [stolen]), now)
    expect(accepted?.envelope).toBe(owner.envelope)
    expect(refused).toMatchObject([{ from: 'link-0', problem: { reason: 'WrongKey' } }])
  }
})

test('an identity that was given up stays so, whatever comes before, after or with it', async () => {
  const owner = await testOwner('clinic', { now })
  const first = owner.envelope
  const revoked = await owner.publish({ revokedAll: true, notAfter: dateTimeOf(now + 1000) })
  const later = await owner.publish({ revokedAll: false, notAfter: dateTimeOf(now + 86_400_000) })
  const peer = { ...peerOf(owner), status: {} }
  const start = { ...peer, spec: { ...peer.spec, bundle: first } }
  await assert(
    asyncProperty(
      constantFrom([revoked], [revoked, later], [later, revoked], [revoked, first]),
      shuffledSubarray([later, first]),
      async (before, after) => {
        const heard = next({ ...start, status: { links: brought(before) } }, after)
        expect(acceptBundle(heard, now + 86_400_000).accepted?.bundle.revokedAll).toBe(true)
      },
    ),
    { numRuns: 30 },
  )
})

test('an expired bundle stays known, so that links still find the way, but no expired one is newly taken', async () => {
  const owner = await testOwner('clinic', { now })
  const peer = next(joined(owner), [await owner.publish()])
  const later = now + 2 * 86_400_000
  const { accepted, refused } = acceptBundle(peer, later)
  expect(accepted?.bundle.sequence).toBe(1)
  expect(refused).toMatchObject([{ from: 'link-0', problem: { reason: 'Expired' } }])
})

test('bundles of others are refused, and without a pinned key there is none to take', async () => {
  const owner = await testOwner('clinic', { now })
  const stranger = await testOwner('clinic', { now })
  const { accepted, refused } = acceptBundle(joined(owner, [stranger.envelope, 'noise', '{}']), now)
  expect(accepted?.envelope).toBe(owner.envelope)
  expect(refused.map(({ problem }) => problem.reason)).toEqual(['WrongKey', 'Malformed', 'Malformed'])
  const peer = joined(owner, [owner.envelope])
  expect(acceptBundle({ ...peer, spec: { ...peer.spec, rootKey: undefined } }, now).accepted).toBeUndefined()
})
