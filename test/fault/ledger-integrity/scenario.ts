import { join } from 'node:path'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { peerOf } from '../../builders/federation.ts'
import { lentWork } from '../../builders/lent-work.ts'
import { type PostgresServer, startPostgres } from '../../integration/ledger/postgres-server.ts'
import { Dice } from '../partition-sim/real/faults.ts'
import { readPostgres, readSqlite } from './books.ts'
import { type CheckedOwner, check, type Expected, type Verdict } from './checker.ts'
import { type CutLine, startCutLine } from './cut-line.ts'
import { faults, type Scene } from './faults.ts'
import { type Lending, type Load, startLoad, type Written } from './load.ts'
import { type Owner, startOwner } from './owner.ts'
import { until } from './until.ts'

const gatewaysEach = 2
const price = { currency: 'EUR', microsPerGPUHour: 360_007 }
const gpuSeconds = 77

export type Played = {
  verdict: Verdict
  expected: Expected
  checked: readonly CheckedOwner[]
  faults: readonly string[]
  requests: number
  loadSeconds: number
  healSeconds: number
}

/** Plays one scenario: two owners work for each other, things break, all heals; then an outsider reads the books. */
export async function play(seed: number, { hasPostgres = false }: { hasPostgres?: boolean } = {}): Promise<Played> {
  const dice = new Dice(seed)
  const postgres = hasPostgres ? await startPostgres() : undefined
  const clinic = await startOwner('clinic', { peerName: 'university', gateways: gatewaysEach })
  const options = { peerName: 'clinic', gateways: gatewaysEach, postgres: postgres?.options }
  const university = await startOwner('university', options)
  const line = await startCutLine(university.data.address)
  try {
    const lendings = await connect(clinic, university, line)
    return await broken({ seed, dice, owners: [clinic, university], line, lendings, postgres })
  } finally {
    await Promise.all([clinic.stop(), university.stop()])
    await line.close()
    await postgres?.stop()
  }
}

async function connect(clinic: Owner, university: Owner, line: CutLine): Promise<Lending[]> {
  for (const [here, there] of [
    [clinic, university],
    [university, clinic],
  ] as const) {
    const peer = peerOf(there.owner, there.name)
    const spec: Partial<Peer['spec']> = here === clinic ? { dial: 'Us', dataAddress: line.address } : { dial: 'Them' }
    here.cluster.peers = [{ ...peer, spec: { ...peer.spec, ...spec } }]
  }
  const lendings = [lend(clinic, university, '1'), lend(university, clinic, '2')]
  await Promise.all([clinic, university].map((owner) => owner.changed()))
  await Promise.all(
    [clinic, university].flatMap((owner) => [owner.startLedger(), ...owner.gateways.map((each) => each.start())]),
  )
  return lendings
}

function lend(from: Owner, to: Owner, suffix: string): Lending {
  const work = { replicas: 2, resources: { limits: { 'nvidia.com/gpu': '1' } } }
  const { requestId, remote, guest } = lentWork(from, to, { suffix, epoch: 7, work })
  const [mine, theirs] = [remote.status?.lease, guest.status?.lease]
  if (mine === undefined || theirs === undefined) throw new Error('the work is not granted')
  mine.price = price
  theirs.price = price
  from.cluster.remoteWorks = [remote]
  to.cluster.guestWorks = [guest]
  return { requestId, epoch: 7, from, to, price }
}

type Setting = {
  seed: number
  dice: Dice
  owners: readonly [Owner, Owner]
  line: CutLine
  lendings: readonly Lending[]
  postgres: PostgresServer | undefined
}

async function broken({ seed, dice, owners, line, lendings, postgres }: Setting): Promise<Played> {
  const hasFiles = postgres === undefined
  const scene: Scene = { owners, line, dice, torn: [], problems: [], counts: new Map(), hasFiles }
  const began = performance.now()
  const load = startLoad(lendings, new Dice(seed + 1_000_000))
  const order = shuffled(Object.keys(faults), dice)
  try {
    for (const [index, name] of order.entries()) {
      const owner = owners[dice.happens(0.5) ? 0 : 1]
      await faults[name]?.(scene, owner)
      if (index === 3) await reserve(owners)
    }
  } finally {
    await load.stop()
  }
  const loadSeconds = (performance.now() - began) / 1000
  await heal(owners, line)
  const healSeconds = (performance.now() - began) / 1000 - loadSeconds
  const expected = expectedOf(load.written, scene, lendings)
  const checked = await Promise.all(
    owners.map((owner) => checkedOf(owner, owner.name === 'university' ? postgres : undefined)),
  )
  const verdict = check(checked, expected)
  verdict.problems.push(...scene.problems)
  return { verdict, expected, checked, faults: order, requests: requestsOf(load), loadSeconds, healSeconds }
}

const requestsOf = ({ requests }: Load) => requests

function shuffled(names: readonly string[], dice: Dice): string[] {
  return names
    .map((name) => ({ name, at: dice.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name)
}

/** GPU seconds that workers were there, as the operator reports them. */
async function reserve(owners: readonly Owner[]): Promise<void> {
  for (const owner of owners) {
    owner.cluster.guestWorks = owner.cluster.guestWorks.map((guest) =>
      guest.status === undefined ? guest : { ...guest, status: { ...guest.status, gpuSeconds } },
    )
    await owner.changed().catch(() => undefined) // a ledger that is down reads it when it starts
  }
}

async function heal(owners: readonly Owner[], line: CutLine): Promise<void> {
  line.heal()
  await Promise.all(owners.flatMap(({ gateways }) => gateways.map((gateway) => gateway.drain())))
  for (const owner of owners) {
    await until(`the ledger of ${owner.name} comes to rest`, 90, async () => {
      const { problem, open } = await owner.state()
      if (problem !== undefined || open.length > 0) throw new Error(problem ?? open.join(', '))
      return true
    })
  }
  // The other's last messages may have made entries here.
  await until('both ledgers are at rest', 30, async () => {
    const states = await Promise.all(owners.map((owner) => owner.state()))
    return states.every(({ problem, open }) => problem === undefined && open.length === 0)
  })
  await Promise.all(owners.map((owner) => owner.killLedger()))
}

function expectedOf(written: Written, { torn }: Scene, lendings: readonly Lending[]): Expected {
  const acknowledged = new Map<string, object>(written.acknowledged)
  const disputable = new Set<string>()
  for (const { kind, id } of torn.flatMap(({ ids }) => ids)) {
    if (kind === 'Served') acknowledged.delete(id)
    else disputable.add(id)
  }
  const grants = lendings.map(({ requestId, epoch, from, to }) => ({
    ...{ requestId, epoch, executor: to.name, requester: from.name, gpuSeconds, price },
  }))
  return { grants, acknowledged, given: written.given, disputable }
}

async function checkedOf({ name, owner, folder }: Owner, postgres: PostgresServer | undefined): Promise<CheckedOwner> {
  const books =
    postgres === undefined
      ? await readSqlite(join(folder, 'ledger'), join(folder, 'read-last'))
      : await readPostgres(postgres.options)
  return { name, publicKey: owner.keys.Receipt.publicKey, books }
}
