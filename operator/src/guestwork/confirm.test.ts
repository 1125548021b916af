import { pino } from 'pino'
import { beforeAll, expect, test } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../../test/builders/federation.ts'
import { sealOf } from '../../../test/builders/scripted-peer.ts'
import type { Peer, PeerStatus } from '../api/peer.ts'
import { openMessage } from '../federation/open-message.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { ReconcileContext } from '../kube/controller.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import type { Live } from '../kube/resource.ts'
import { reconcileConfirmation } from './confirm.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const { signal } = new AbortController()
const ours = 'o'.repeat(43)
const clock = createManualClock(now)
let us: TestOwner
let them: TestOwner
let stranger: TestOwner

beforeAll(async () => {
  ;[us, them, stranger] = await Promise.all([
    testOwner('us', { now }),
    testOwner('them', { now }),
    testOwner('stranger', { now }),
  ])
})

type Said = { incarnation?: number; epoch?: number; answers?: string; by?: TestOwner }

/** What a peer says of us, and what we know of it, are reconciled once; returns the patches of its status and the warnings. */
async function confirmed(said: Said, known: Partial<PeerStatus> = {}) {
  const { incarnation = 3, epoch = 0, answers = ours, by = them } = said
  const confirmation = await sealOf(by, clock)(
    'Confirmation',
    { epoch, incarnation, answers, asks: 't'.repeat(43), sequence: 1 },
    { identityName: 'main', peer: peerOf(us), seconds: 3600, signal },
  )
  const plain = peerOf(them, 'them')
  const peer: Live<Peer> = {
    ...plain,
    metadata: { name: 'them', uid: 'u', resourceVersion: '7' },
    status: {
      ...plain.status,
      ...known,
      links: [{ replica: 'link', connected: true, direction: 'Outbound', confirmation }],
    },
  }
  const patches: unknown[] = []
  const wrote: unknown[] = []
  const lines: string[] = []
  // The one call that is made; what the API server does with it is tested in test/integration/guestwork.
  const client = {
    patch: async (_: unknown, __: unknown, patch: unknown) => {
      patches.push(patch)
      return { ...peer, metadata: { ...peer.metadata, resourceVersion: '8' } }
    },
  } as unknown as KubeClient
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const context: ReconcileContext = { signal, log }
  await reconcileConfirmation('them', context, {
    client,
    clock,
    openMessage,
    asks: ours,
    peers: { get: () => peer, list: () => [peer], wrote: (object) => void wrote.push(object.metadata.resourceVersion) },
    identities: { get: () => ({ ...identityOf(us), metadata: { name: 'main', uid: 'i', resourceVersion: '1' } }) },
  })
  return { patches, wrote, warnings: lines.length }
}

test('the answer to the question of this start is written, onto the version that was read, before anything is granted', async () => {
  const { patches, wrote, warnings } = await confirmed(
    { incarnation: 3, epoch: 2_000_004 },
    { incarnation: 2, epoch: 2_000_004 },
  )
  expect(patches).toEqual([
    { metadata: { resourceVersion: '7' }, status: { incarnation: 3, epoch: 2_000_004, confirmedNonce: ours } },
  ])
  expect(wrote).toEqual(['8'])
  expect(warnings).toBe(0)
})

test('a peer that saw more of us than we know shows a restore, which is logged', async () => {
  const { patches, warnings } = await confirmed({ incarnation: 9, epoch: 8_000_001 }, { incarnation: 2, epoch: 5 })
  expect(patches).toMatchObject([{ status: { incarnation: 9, epoch: 8_000_001 } }])
  expect(warnings).toBe(1)
})

test.each<[string, Said, Partial<PeerStatus>]>([
  ['an answer to an earlier question', { answers: 'e'.repeat(43) }, {}],
  [
    'what a stranger signed',
    {
      get by() {
        return stranger
      },
    },
    {},
  ],
  ['an answer that was taken already', {}, { confirmedNonce: ours, incarnation: 3 }],
  ['a number that is not larger', { incarnation: 2 }, { incarnation: 2 }],
  ['anything of a Peer that is not verified', {}, { conditions: [] }],
])('%s changes nothing', async (_, said, known) => {
  expect((await confirmed(said, known)).patches).toEqual([])
})
