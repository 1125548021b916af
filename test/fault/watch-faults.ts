import { createClient } from '@hansa/operator/kube/client.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import { startOwner } from '../cluster/owner.ts'
import {
  busiestMinute,
  describe,
  isElection,
  isWrite,
  type Measure,
  pause,
  secondsUntil,
  slowestRelist,
} from './watch-faults/measure.ts'
import { type OperatorReplica, operatorReplica } from './watch-faults/operator-process.ts'
import { type Story, systemNamespace, tellStory } from './watch-faults/story.ts'

// Stores that the operator keeps: models, inferenceservices, accesskeys, serviceaccounts, networkpolicies, jobs, deployments, pods
// of workers, pods of gateways.
const watched = 9
const services = 20
const readsPerStore = 16
const readsPerMinute = readsPerStore * watched
const writesPerMinute = 600

export const promise = {
  id: 'watch-faults',
  claim:
    'The operator notices a silent watch, an expired version and a lost API server, loses nothing to them, asks a bounded number of requests meanwhile, hands over quickly, and writes nothing once converged.',
  aim: `silent watch repaired within 60 s; relist within 5 s of a 410, in the stream or after compaction; nothing lost to kill -9 of the API server; at most ${readsPerStore} requests a minute for each of the ${watched} stores while watches fail and ${writesPerMinute} while writes fail; another leader 3 s after SIGTERM and 20 s after kill -9; 0 writes a minute once converged (election's lease excluded)`,
}

type Stage = {
  readonly story: Story
  readonly leader: OperatorReplica
  readonly standby: OperatorReplica
  readonly killApiserver: (whileDown: () => Promise<void>) => Promise<void>
  readonly compact: () => Promise<void>
  readonly measure: (measure: Measure) => void
}

/** Starts a control plane and the real operator behind a fault proxy, and lets each fault happen in turn, or `only` those named; about 10 minutes. */
export async function run(
  report: (line: string) => void,
  options: { readonly only?: readonly string[] } = {},
): Promise<{ figures: string; holds: boolean }> {
  const owner = await startOwner({ name: 'watch-faults', log: report })
  const admin = createClient({
    cluster: await clusterFromKubeConfig({ path: owner.kubeconfigPath }),
    userAgent: 'watch-faults',
  })
  const measures: Measure[] = []
  const replicas: OperatorReplica[] = []
  try {
    const story = await tellStory(owner, admin)
    for (const [name, address] of [
      ['operator-a', '127.0.41.1'],
      ['operator-b', '127.0.41.2'],
    ] as const) {
      replicas.push(await operatorReplica(owner, { name, namespace: systemNamespace, address }))
    }
    const [leader, standby] = replicas
    if (leader === undefined || standby === undefined) throw new Error('two replicas were just made')
    leader.start()
    await leader.ready()
    await story.createServices(services)
    const seconds = await secondsUntil('the first services', story.unfinished, 120)
    report(`${services} services converged ${seconds.toFixed(1)} s after the last was created`)
    const stage: Stage = {
      story,
      leader,
      standby,
      measure(measure) {
        measures.push(measure)
        report(describe(measure))
      },
      async killApiserver(whileDown) {
        await owner.parts.apiserver.kill()
        await whileDown()
        await owner.parts.apiserver.start()
      },
      compact: async () => void (await owner.etcdCompact()),
    }
    for (const fault of [
      converged,
      silentWatches,
      expiredWatches,
      compaction,
      failingWatches,
      failingWrites,
      lostServer,
      handover,
    ]) {
      if (options.only?.includes(fault.name) === false) continue
      try {
        await fault(stage)
      } catch (thrown) {
        report(`${fault.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
        measures.push({ what: `${fault.name} not measured`, value: 1, unit: '', atMost: 0 })
      }
    }
  } finally {
    for (const replica of replicas) await replica.stop()
    await admin.close()
    await owner.stop()
  }
  const holds = measures.every(({ value, atMost }) => value <= atMost)
  const figures = `n=${services}+ services, ${measures.map(({ what, value, unit }) => `${what} ${Number(value.toFixed(1))}${unit === '' ? '' : ` ${unit}`}`).join(', ')}`
  return { figures, holds }
}

async function converged({ leader, measure }: Stage): Promise<void> {
  await pause(5_000)
  leader.proxy.reset()
  await pause(120_000)
  const writes = leader.proxy.requests(isWrite).length
  measure({ what: 'writes in 2 minutes once converged', value: writes, unit: '', atMost: 0 })
  const requests = busiestMinute(leader.proxy.requests((facts) => !isElection(facts)))
  measure({ what: 'requests a minute once converged', value: requests, unit: '', atMost: 2 * watched })
}

async function silentWatches({ leader, story, measure }: Stage): Promise<void> {
  leader.proxy.reset()
  for (const watch of leader.proxy.watches()) watch.silence()
  await story.disturb()
  const seconds = await secondsUntil('repair after silent watches', story.unfinished, 120)
  measure({ what: 'silent watches to repair', value: seconds, unit: 's', atMost: 60 })
  // From now on every watch is dead from its first byte.
  leader.proxy.reset()
  const silence = leader.proxy.inject({ type: 'Silence' }, { when: ({ isWatch }) => isWatch })
  for (const watch of leader.proxy.watches()) watch.silence()
  await pause(90_000)
  silence.remove()
  boundedReads(leader, 'silent watches', measure)
  leader.proxy.reset()
}

async function expiredWatches({ leader, story, measure }: Stage): Promise<void> {
  await pause(3_000)
  leader.proxy.reset()
  const open = leader.proxy.watches()
  for (const watch of open) watch.swallow(1)
  await story.disturb()
  await pause(500)
  for (const watch of open) watch.expire()
  const seconds = await secondsUntil('repair after 410', story.unfinished, 60)
  measure({ what: '410 in the stream to repair', value: seconds, unit: 's', atMost: 5 })
  leader.proxy.reset()
  const expire = leader.proxy.inject({ type: 'ExpireWatch' }, { when: ({ isWatch }) => isWatch })
  for (const watch of leader.proxy.watches()) watch.expire()
  await pause(75_000)
  expire.remove()
  boundedReads(leader, '410 for every watch', measure)
  await pause(31_000)
}

/** The operator sees nothing while etcd forgets its past and the API server its memory. */
async function compaction({ leader, story, measure, compact, killApiserver }: Stage): Promise<void> {
  // A leader that loses its lease meanwhile would begin from a list, and nothing would expire.
  await leader.kill('SIGTERM')
  leader.start(120)
  await leader.ready()
  await secondsUntil(
    'the leader is back',
    async () => (leader.proxy.watches().length < watched ? 'no watches' : undefined),
    60,
  )
  await pause(2_000)
  await leader.proxy.refuseConnections()
  await story.disturb()
  await compact()
  await killApiserver(async () => undefined)
  leader.proxy.reset()
  await leader.proxy.acceptConnections()
  const seconds = await secondsUntil('repair after compaction', story.unfinished, 120)
  const relist = slowestRelist(leader.proxy.requests())
  if (relist.count === 0) throw new Error('the compaction expired no watch, so nothing was measured')
  measure({ what: `compaction, 410 to list (${relist.count} watches)`, value: relist.seconds, unit: 's', atMost: 5 })
  measure({ what: 'compaction to repair', value: seconds, unit: 's', atMost: 60 })
  await leader.kill('SIGTERM')
  leader.start()
  await leader.ready()
  await secondsUntil('the leader is back', story.unfinished, 60)
}

async function failingWatches({ leader, story, measure }: Stage): Promise<void> {
  leader.proxy.reset()
  const drop = leader.proxy.inject({ type: 'DropWatch', afterEvents: 1 }, { when: ({ isWatch }) => isWatch })
  for (const watch of leader.proxy.watches()) watch.drop()
  for (let n = 0; n < 15; n++) {
    await story.disturb()
    await pause(4_000)
  }
  drop.remove()
  const churn = leader.proxy.requests(isWrite).length
  measure({
    what: 'requests a minute, event then close',
    value: busiestMinute(leader.proxy.requests((facts) => facts.isWatch || facts.isList)),
    unit: '',
    atMost: readsPerMinute,
  })
  const seconds = await secondsUntil(`repair after dropped watches (${churn} writes)`, story.unfinished, 60)
  measure({ what: 'dropped watches to repair', value: seconds, unit: 's', atMost: 60 })
}

async function failingWrites({ leader, story, measure }: Stage): Promise<void> {
  for (const status of [429, 500, 409]) {
    leader.proxy.reset()
    const when = { when: isWrite }
    const fail = leader.proxy.inject({ type: 'Respond', status, ...(status === 429 && { retryAfterSeconds: 1 }) }, when)
    await story.deletePolicies(services)
    await pause(60_000)
    fail.remove()
    const value = busiestMinute(leader.proxy.requests((facts) => !isElection(facts)))
    measure({ what: `requests a minute, every write ${status}`, value, unit: '', atMost: writesPerMinute })
    await secondsUntil(`repair after ${status}`, story.unfinished, 120)
  }
}

async function lostServer({ leader, story, measure, killApiserver }: Stage): Promise<void> {
  leader.proxy.reset()
  const creating = story.createServices(services)
  await pause(1_000)
  let whileDown = 0
  await killApiserver(async () => {
    const before = leader.proxy.requests((facts) => !isElection(facts)).length
    await pause(60_000)
    whileDown = leader.proxy.requests((facts) => !isElection(facts)).length - before
  })
  const seconds = await secondsUntil('repair after the API server came back', story.unfinished, 180)
  await creating
  const lost = (await story.unfinished()) === undefined ? 0 : 1
  measure({ what: 'services lost to kill -9 of the API server', value: lost, unit: '', atMost: 0 })
  measure({ what: 'API server back to all converged', value: seconds, unit: 's', atMost: 60 })
  measure({ what: 'requests a minute, no API server', value: whileDown, unit: '', atMost: readsPerMinute })
}

async function handover({ leader, standby, story, measure }: Stage): Promise<void> {
  standby.start()
  await standby.ready()
  await pause(4_000)
  const leads = (name: string) => async () => ((await story.holder()) === name ? undefined : 'the old leader leads')
  await secondsUntil('the first leads', leads(leader.name), 60)

  const term = leader.kill('SIGTERM')
  const clean = await secondsUntil('another leader after SIGTERM', leads(standby.name), 60)
  await term
  measure({ what: 'SIGTERM to another leader', value: clean, unit: 's', atMost: 3 })
  await story.disturb()
  const repaired = await secondsUntil('repair by the second leader', story.unfinished, 60)
  measure({ what: 'repair by the new leader', value: repaired, unit: 's', atMost: 5 })

  leader.start()
  await leader.ready()
  await pause(4_000)
  await standby.kill('SIGKILL')
  const hard = await secondsUntil('another leader after kill -9', leads(leader.name), 60)
  measure({ what: 'kill -9 to another leader', value: hard, unit: 's', atMost: 20 })
  await story.disturb()
  await secondsUntil('repair by the first leader', story.unfinished, 60)
}

function boundedReads({ proxy }: OperatorReplica, fault: string, measure: Stage['measure']): void {
  const value = busiestMinute(proxy.requests((facts) => !isElection(facts)))
  measure({ what: `requests a minute, ${fault}`, value, unit: '', atMost: readsPerMinute })
}
