import { expect, test } from 'vitest'
import { campaign, retell } from '../../fault/partition-sim/campaign.ts'
import { mutants } from '../../fault/partition-sim/mutants.ts'
import { protocol } from '../../fault/partition-sim/protocol.ts'

// The promise partition-sim runs a thousand, and every mutant; here a few, so that a change that breaks a rule fails soon.
test('leases stay right in a hundred simulated runs with faults', () => {
  const { failure } = campaign(protocol, { seed: 11, runs: 100, shrinks: true })
  expect(failure === undefined ? [] : retell(failure.found, protocol)).toEqual([])
})

test.each([
  'the executor does not look at the nonce of a renewal',
  'the fence does not know which rounds were counted',
  'an executor grants after a restart without a confirmation',
  'a peer that comes back ends what ran',
])('the simulation notices when %s', (name) => {
  const mutant = mutants.find((each) => each.name === name)
  expect(mutant && campaign(mutant.protocol, { seed: 11, runs: 300, shrinks: false }).failure).toBeDefined()
})

test('the same seed gives the same run', () => {
  const broken = mutants.find(({ name }) => name === 'a peer that comes back ends what ran')
  const found = broken && campaign(broken.protocol, { seed: 3, runs: 300, shrinks: false }).failure?.found
  expect(found).toBeDefined()
  if (broken === undefined || found === undefined) return
  expect(retell(found, broken.protocol)).toEqual(retell(found, broken.protocol))
})
