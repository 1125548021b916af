import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../partition-sim/real/faults.ts'
import { readSqlite } from './books.ts'
import { fingerprint } from './checker.ts'
import type { CutLine } from './cut-line.ts'
import type { Gateway, Owner } from './owner.ts'
import { cutSpool, halfWriteSpool, type Torn, tearWal } from './tear.ts'
import { until } from './until.ts'

/** What faults happen to, and what they leave. */
export type Scene = {
  owners: readonly [Owner, Owner]
  line: CutLine
  dice: Dice
  torn: Torn[]
  problems: string[]
  counts: Map<string, number>
  hasFiles: boolean
}

const mostSkew = 120_000

type Fault = (scene: Scene, owner: Owner) => Promise<void>

async function restartGateway(gateway: Gateway, between: () => Promise<void> = async () => undefined): Promise<void> {
  await gateway.kill()
  await between()
  await gateway.start()
}

function gatewayOf({ gateways }: Owner, dice: Dice): Gateway {
  const gateway = gateways[Math.floor(dice.random() * gateways.length)]
  if (gateway === undefined) throw new Error('an owner without gateways')
  return gateway
}

export const faults: Record<string, Fault> = {
  'ledger killed': async ({ dice }, owner) => {
    await owner.killLedger()
    await sleep(dice.between(0, 500))
    await owner.startLedger()
  },
  'gateway killed': async ({ dice }, owner) => restartGateway(gatewayOf(owner, dice)),
  'spool half written': async ({ dice }, owner) => {
    const gateway = gatewayOf(owner, dice)
    await restartGateway(gateway, async () => void (await halfWriteSpool(gateway.folder)))
  },
  'spool cut': async ({ dice, torn }, owner) => {
    const gateway = gatewayOf(owner, dice)
    await restartGateway(gateway, async () => {
      const lost = await cutSpool(gateway.folder, Math.floor(dice.between(1, 20_000)))
      if (lost !== undefined) torn.push(lost)
    })
  },
  'write-ahead log torn': async ({ hasFiles }, owner) => {
    await owner.killLedger()
    if (hasFiles) await tearWal(join(owner.folder, 'ledger'))
    await owner.startLedger()
  },
  partition: async ({ line, dice }) => {
    line.cut()
    await sleep(dice.between(300, 2500))
    line.heal()
  },
  'clocks set': async ({ dice }, owner) => {
    owner.skewMilliseconds = Math.round(dice.between(-mostSkew, mostSkew))
    await owner.killLedger()
    await Promise.all([owner.startLedger(), ...owner.gateways.map((gateway) => restartGateway(gateway))])
  },
  'older copy restored': async (scene, owner) => {
    if (scene.hasFiles) await restoreOlder(scene, owner)
  },
}

/** Puts an older copy of the files in place: the ledger must stop by itself, and go on with the newest ones. */
async function restoreOlder({ owners, problems }: Scene, owner: Owner): Promise<void> {
  const other = owners[0] === owner ? owners[1] : owners[0]
  const [files, old, newest] = ['ledger', 'ledger-old', 'ledger-newest'].map((name) => join(owner.folder, name))
  if (files === undefined || old === undefined || newest === undefined) return
  await owner.killLedger()
  await cp(files, old, { recursive: true })
  const { entries } = await readSqlite(old, join(owner.folder, 'read-old'))
  await owner.startLedger()
  await until('the witness has seen a newer log', 40, async () => (await other.state()).witnessed > entries.length)
  await owner.killLedger()
  await rename(files, newest)
  await rename(old, files)
  const before = fingerprint(await readSqlite(files, join(owner.folder, 'read-before')))
  await owner.startLedger()
  await until(
    'a ledger with old books stops',
    40,
    async () => (await owner.state()).problem?.includes('has seen') === true,
  )
  // Long enough for several rounds of everything that it must not do.
  await sleep(1000)
  await owner.killLedger()
  const after = fingerprint(await readSqlite(files, join(owner.folder, 'read-after')))
  if (after !== before) problems.push(`the ledger of ${owner.name} wrote into old books before it stopped`)
  await rm(files, { recursive: true })
  await rename(newest, files)
  await owner.startLedger()
  await until('a ledger with its newest books goes on', 40, async () => {
    const state = await owner.state()
    return state.problem === undefined && state.size >= entries.length
  })
}
