import { expect, test } from 'vitest'
import { inferenceService, suspended, withStatus } from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import { atPeer, knownPeer } from '../../../test/builders/peer.ts'
import type { InferenceServiceStatus } from '../api/inference-service.ts'
import type { Requirement } from '../api/placement.ts'
import { type LayersInput, layersOf } from './layers.ts'
import { judge } from './requirements.ts'

const input = (status: InferenceServiceStatus): LayersInput => ({
  service: inferenceService('chat', withStatus(status)),
  model: model('chat-v1', verified),
  peers: [knownPeer('lab', 'university'), knownPeer('clinic', 'clinic')],
  ownTrustDomains: [],
  ledger: undefined,
})
const own = { desiredReplicas: 1, replicas: 1, readyReplicas: 1 }
const spread = { ...own, owners: [atPeer('lab', 3), atPeer('clinic', 1)] }
const unheard = { ...own, owners: [{ ...atPeer('lab', 3), lease: 'Uncertain' as const }] }
const said = (status: InferenceServiceStatus, ...requirements: Requirement[]) =>
  judge(requirements, layersOf(input(status)))

test('nothing required, nothing said', () => {
  expect(judge(undefined, layersOf(input(spread)))).toBeUndefined()
  expect(said(spread)).toBeUndefined()
})

test.each<[string, InferenceServiceStatus, Requirement, string, string, RegExp]>([
  [
    'all holds',
    spread,
    { layer: 'Compute', minOwners: 3, minOwnersToStop: 3, maxSharePermille: 600 },
    'True',
    'RequirementsMet',
    /Compute/,
  ],
  [
    'too few',
    own,
    { layer: 'Compute', minOwners: 2 },
    'False',
    'TooFewOwners',
    /^Compute: 1 owners have a part, required: 2$/,
  ],
  [
    'too much at one',
    spread,
    { layer: 'Compute', maxSharePermille: 500 },
    'False',
    'TooConcentrated',
    /^Compute: 600 per mille .* allowed: 500$/,
  ],
  [
    'too easy to stop',
    own,
    { layer: 'Weights', minOwnersToStop: 2 },
    'False',
    'TooFragile',
    /no cluster with all files is left/,
  ],
  ['control is never spread', spread, { layer: 'Control', minOwners: 2 }, 'False', 'TooFewOwners', /^Control: 1/],
  ['it depends on a lost peer', unheard, { layer: 'Compute', minOwners: 2 }, 'Unknown', 'NotKnown', /1 to 2 owners/],
  [
    'the share depends on a lost peer',
    unheard,
    { layer: 'Compute', maxSharePermille: 800 },
    'Unknown',
    'NotKnown',
    /500 to 1000/,
  ],
  [
    'broken wherever the lost peer stands',
    unheard,
    { layer: 'Compute', minOwners: 3 },
    'False',
    'TooFewOwners',
    /^Compute: 2/,
  ],
  [
    'witnesses are the ledger\u2019s to know',
    spread,
    { layer: 'Ledger', minOwners: 2 },
    'Unknown',
    'NotKnown',
    /ledger alone/,
  ],
  ['more than there are Peers', spread, { layer: 'Ledger', minOwners: 4 }, 'False', 'TooFewOwners', /^Ledger: 3/],
])('%s', (_, status, requirement, value, reason, message) => {
  expect(said(status, requirement)).toEqual({
    type: 'Decentralized',
    status: value,
    reason,
    message: expect.stringMatching(message),
  })
})

test('what is broken is said before what is not known, and everything is in the message', () => {
  const verdict = said(
    unheard,
    { layer: 'Compute', minOwners: 2 },
    { layer: 'Control', minOwners: 2 },
    { layer: 'Weights', minOwners: 4 },
  )
  expect(verdict).toMatchObject({ status: 'False', reason: 'TooFewOwners' })
  expect(verdict?.message).toMatch(/^Control: .*; Weights: /)
})

test('of a suspended service no figure of Compute is held against it', () => {
  const each = { ...input({}), service: inferenceService('chat', suspended) }
  const verdict = judge([{ layer: 'Compute', minOwners: 3 }], layersOf(each))
  expect(verdict).toMatchObject({ status: 'Unknown', reason: 'NotKnown', message: /suspended/ })
})
