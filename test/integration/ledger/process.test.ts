import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Federation, startFederation } from '../../cluster/hansa/federation.ts'
import { eventually } from '../gateway/gateway-under-test.ts'

let federation: Federation

beforeAll(async () => {
  federation = await startFederation({
    owners: [
      { name: 'clinic', nodes: 1 },
      { name: 'university', nodes: 1 },
    ],
  })
}, 600_000)
afterAll(() => federation?.stop())

test('the ledgers of two owners find each other, with the rights that the chart gives them', async () => {
  for (const { owner } of federation.owners) {
    await eventually(async () => {
      const { stdout } = await owner.kubectl(['logs', 'hansa-ledger-0', '-n', 'hansa-system', '--tail=100'])
      expect(stdout).toContain('the ledger goes on')
    }, 60)
  }
}, 120_000)
