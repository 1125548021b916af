import { expect, test } from 'vitest'
import { egressPolicy } from '../../../test/builders/egress-policy.ts'
import { judge } from './controller.ts'

const peers = [{ name: 'university' }, { name: 'city' }]

test.each([
  ['all peers exist', {}, () => true, 'InForce', 'Internal data may go to university, city'],
  ['one exists', {}, (name: string) => name === 'city', 'InForce', 'there is no Peer university'],
  ['none exists', {}, () => false, 'PeerNotFound', 'there is no Peer university, city'],
  ['it is suspended', { suspend: true }, () => true, 'Suspended', 'it allows nothing'],
] as const)('when %s, the policy says so', (_, spec, exists, reason, words) => {
  const verdict = judge(egressPolicy('p', { peers: [...peers], ...spec }), exists)
  expect(verdict.reason).toBe(reason)
  expect(verdict.message).toContain(words)
})
