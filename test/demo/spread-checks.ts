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
import { eventually } from './wait.ts'

const service = 'digits-spread'
const at = [`infer/${service}`, '-n', 'digits'] as const
const everybody = ['own', 'university', 'clinic']
const range = z.object({ least: z.number(), most: z.number() })
const layersSchema = z.object({
  layers: z.array(z.object({ layer: z.string(), measures: z.object({ owners: range }).optional() })),
})

/** One service at three owners by policy: all answer, one is lost and returns; what it costs, and the proof of it. */
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
    {
      name: 'loses an owner under load without a failed request; it returns by itself',
      run: () => loseAndReturn(federation, client, url),
    },
  ]
}

/** The university's site goes dark: every process is killed, every line cut. Then its lines are there again, and nobody does anything. */
async function loseAndReturn(federation: Federation, client: DigitsClient, url: string): Promise<string> {
  const stMary = federation.owner('st-mary')
  const university = federation.owner('university')
  const others = federation.owners.filter((owner) => owner !== university)
  const before = await computeOwners(stMary, (least, most) => least === 3 && most === 3)
  progressAll(await stMary.hansa('layers', ...at))
  const load = startSpreadLoad(client, url)
  try {
    await load.answeredBy(everybody)
    for (const { name } of others) federation.cut('university', name, 'Reset')
    killAll(university)
    const lostAt = performance.now()
    const meanwhile = await load.answeredBy(['own', 'clinic'])
    const during = await computeOwners(stMary, (least) => least === 2)
    progressAll(await stMary.hansa('layers', ...at).catch((error: unknown) => String(error)))
    const lostSeconds = (performance.now() - lostAt) / 1000
    for (const { name } of others) federation.heal('university', name)
    const backAt = performance.now()
    await load.answeredBy(['university'], 120)
    const backSeconds = (performance.now() - backAt) / 1000
    const after = await computeOwners(stMary, (least, most) => least === 3 && most === 3)
    const sent = await load.stop()
    return `${sent} requests, 0 failed; owners of Compute ${before}, ${during}, ${after}; gone for ${lostSeconds.toFixed(1)} s (${meanwhile}), answers ${backSeconds.toFixed(1)} s after its lines were back`
  } finally {
    for (const { name } of others) federation.heal('university', name)
    await load.stop().catch(() => undefined)
  }
}

async function inForce({ owner }: FederatedOwner): Promise<void> {
  const { code, stderr } = await owner.kubectl([
    ...['wait', '--for=condition=Ready', 'sharepolicies.hansa.dev/st-mary-gpu', '--timeout=60s'],
  ])
  if (code !== 0) throw new Error(stderr)
}

function killAll({ nodes }: FederatedOwner): void {
  for (const node of nodes)
    for (const pod of node.pods())
      for (const { name } of pod.containers) node.killContainer(pod.namespace, pod.name, name, 'SIGKILL')
}

/** How many owners have a part of Compute, as `kubectl hansa layers` counts them, once that holds. */
async function computeOwners(owner: FederatedOwner, holds: (least: number, most: number) => boolean): Promise<string> {
  return eventually('the owners of Compute', async () => {
    const { layers } = layersSchema.parse(JSON.parse(await owner.hansa('layers', ...at, '-o', 'json')))
    const { least = 0, most = 0 } = layers.find(({ layer }) => layer === 'Compute')?.measures?.owners ?? {}
    const said = least === most ? `${least}` : `${least}-${most}`
    if (holds(least, most)) return said
    throw new Error(`it says ${said}`)
  })
}

function progressAll(text: string): void {
  for (const line of text.split('\n')) progress(`  ${line}`)
}
