import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { FederatedOwner, Federation } from '../cluster/hansa/federation.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { DigitsClient } from './ask.ts'
import type { Check } from './checks.ts'
import { ledgerChecks } from './ledger-checks.ts'
import { progress } from './progress.ts'
import { startSpreadLoad } from './spread-load.ts'
import { remoteWorkThat } from './treaty.ts'

const service = 'digits-spread'
const at = [`infer/${service}`, '-n', 'digits'] as const
const everybody = ['own', 'university', 'clinic']
const range = z.object({ least: z.number(), most: z.number() })
const layersSchema = z.object({
  layers: z.array(z.object({ layer: z.string(), measures: z.object({ owners: range }).optional() })),
})

/** One service at three owners by policy: all answer; why, how spread, at what cost, and the proof of it. */
export function spreadChecks(federation: Federation, client: DigitsClient): Check[] {
  const stMary = federation.owner('st-mary')
  const url = `${stMary.gatewayUrl}/digits/${service}`
  return [
    {
      name: 'places a service over three owners by policy; each answers',
      run: async () => {
        const peers = ['university', 'clinic']
        for (const name of [...peers, 'st-mary']) {
          const owner = federation.owner(name)
          await owner.apply(await readFile(join(repository, `test/demo/spread/${name}.yaml`), 'utf8'))
          // Who asks before a policy is in force is refused, and asks again after a pause.
          if (peers.includes(name)) await inForce(owner)
        }
        for (const peer of peers)
          await remoteWorkThat(
            stMary,
            [service, peer],
            `${peer} runs a worker`,
            ({ status }) => status.readyReplicas === 1,
          )
        const load = startSpreadLoad(client, url)
        const seen = await load.answeredBy(everybody).finally(() => load.stop())
        return `answers by x-hansa-owner: ${seen}`
      },
    },
    {
      name: 'explains why each owner runs what it runs',
      run: async () => {
        const said = await stMary.hansa('explain', ...at)
        progressAll(said)
        for (const owner of everybody)
          if (!said.includes(`+ ${owner}: 1`)) throw new Error(`it does not say that ${owner} has one worker`)
        return said.split('\n')[0] ?? ''
      },
    },
    {
      name: 'shows how decentralized the service is',
      run: async () => {
        const owners = await computeOwners(stMary)
        progressAll(await stMary.hansa('layers', ...at))
        if (owners !== '3') throw new Error(`${owners} owners have a part of Compute`)
        return `${owners} owners have a part of Compute`
      },
    },
    {
      name: 'shows what the leases cost',
      run: async () => {
        const table = await stMary.hansa('cost', service, '-n', 'digits')
        progressAll(table)
        for (const price of ['0.40 EUR', '0.30 EUR', '0.70 EUR'])
          if (!table.includes(price)) throw new Error(`${price} is not in it`)
        return 'university 0.40 EUR, clinic 0.30 EUR, together 0.70 EUR an hour'
      },
    },
    ...ledgerChecks(stMary),
  ]
}

async function inForce({ owner }: FederatedOwner): Promise<void> {
  const { code, stderr } = await owner.kubectl([
    ...['wait', '--for=condition=Ready', 'sharepolicies.hansa.dev/st-mary-gpu', '--timeout=60s'],
  ])
  if (code !== 0) throw new Error(stderr)
}

/** How many owners have a part of Compute, as `kubectl hansa layers` counts them. */
async function computeOwners(owner: FederatedOwner): Promise<string> {
  const { layers } = layersSchema.parse(JSON.parse(await owner.hansa('layers', ...at, '-o', 'json')))
  const { least = 0, most = 0 } = layers.find(({ layer }) => layer === 'Compute')?.measures?.owners ?? {}
  return least === most ? `${least}` : `${least}-${most}`
}

function progressAll(text: string): void {
  for (const line of text.split('\n')) progress(`  ${line}`)
}
