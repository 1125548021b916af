import { setTimeout as sleep } from 'node:timers/promises'
import { dataClassLabel } from '@hansa/operator/api/owner-scalars.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import type { Sealing } from '@hansa/operator/federation/seal-message.ts'
import { identities, peers } from '@hansa/operator/kube/hansa-resources.ts'
import { identityOf, type TestOwner, testOwner } from '../../../builders/federation.ts'
import { joinOf } from '../../../builders/join.ts'
import { sharePolicy } from '../../../builders/work.ts'
import { Dice } from './faults.ts'
import { Judge } from './judge.ts'
import { Line, type Role } from './line.ts'
import { guestNamespace, systemNamespace, workNamespace } from './names.ts'
import { SharingOwner } from './owner.ts'
import { Watch } from './watch.ts'

const { signal } = new AbortController()

/** One relation of the two owners: keys, Peers and a line of its own, so that scenarios side by side do not meet. */
export type Pair = { readonly requester: string; readonly executor: string; readonly line: Line }

export type Stage = {
  readonly owners: Readonly<Record<Role, SharingOwner>>
  readonly pairs: readonly Pair[]
  readonly watch: Watch
  /** Of the round; a new one takes over what the last knew. */
  readonly judge: Judge
  stop(): Promise<void>
}

/** Two real control planes, joined `count` times. */
export async function startStage(count: number, seed: number, log: (line: string) => void): Promise<Stage> {
  const judge = new Judge()
  const watch = new Watch(judge)
  const keys = new Map<string, TestOwner>()
  const sealingOf = (name: string): Sealing => {
    const found = keys.get(name)
    if (found === undefined) throw new Error(`no keys of Identity ${name}`)
    return { bundle: found.bundle, signerOf: found.signerOf }
  }
  const started = await Promise.all(
    (['requester', 'executor'] as const).map((role) => SharingOwner.start(role, sealingOf, watch, log)),
  )
  const [requester, executor] = started
  if (requester === undefined || executor === undefined) throw new Error('an owner did not start')
  const owners = { requester, executor }
  const stop = async () => {
    clearInterval(looking)
    await Promise.all(started.map((each) => each.stop()))
  }
  const looking = setInterval(() => judge.look(watch.services, executor.upSince), 250)
  try {
    await prepare(owners, count)
    const pairs: Pair[] = []
    for (let index = 0; index < count; index++) {
      pairs.push(await join(owners, keys, `requester-${index}`, `executor-${index}`, { seed: seed + index, judge }))
    }
    for (const each of started) each.follow()
    await requester.run(new Map(pairs.map((pair) => [pair.executor, pair.line])))
    await executor.run(new Map(pairs.map((pair) => [pair.requester, pair.line])))
    while (!watch.synced) await sleep(50)
    return { owners, pairs, watch, judge, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepare({ requester, executor }: Stage['owners'], count: number): Promise<void> {
  const names = (role: Role) => Array.from({ length: count }, (_, index) => ({ name: `${role}-${index}` }))
  await requester.apply([
    namespace(systemNamespace),
    namespace(workNamespace, { [dataClassLabel]: 'Internal' }),
    {
      apiVersion: 'hansa.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name: 'all' },
      spec: { dataClasses: ['Internal'], peers: names('executor') },
    },
  ])
  const { apiVersion, kind, spec } = sharePolicy('all', {
    peers: names('requester'),
    targetNamespace: guestNamespace,
    availability: 'Always',
    quota: { 'nvidia.com/gpu': '10000', cpu: '10000', memory: '10000Gi' },
    maxLeases: 1_000,
    drainTimeoutSeconds: 0,
  })
  await executor.apply([
    namespace(systemNamespace),
    namespace(guestNamespace, { 'hansa.dev/guests': 'true', 'pod-security.kubernetes.io/enforce': 'restricted' }),
    {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'hansa-guest' },
      ...{ value: -1000, preemptionPolicy: 'Never' },
    },
    { apiVersion, kind, metadata: { name: 'all' }, spec },
  ])
}

/** Keys, Identities and Peers of both sides as after a join on the command line. */
async function join(
  owners: Stage['owners'],
  keys: Map<string, TestOwner>,
  requester: string,
  executor: string,
  { seed, judge }: { seed: number; judge: Judge },
): Promise<Pair> {
  const [asking, giving] = await Promise.all([testOwner(requester), testOwner(executor)])
  keys.set(requester, asking)
  keys.set(executor, giving)
  const { atInviter, atAccepter } = joinOf(asking, giving)
  await Promise.all([
    introduce(owners.requester, asking, requester, atInviter, executor),
    introduce(owners.executor, giving, executor, atAccepter, requester),
  ])
  const principal = (peerName: string, { bundle: { trustDomain, clusterName } }: TestOwner) => ({
    ...{ peerName, trustDomain, clusterName },
  })
  const principals = { requester: principal(requester, asking), executor: principal(executor, giving) }
  const line = new Line(new Dice(seed), principals, (message) => judge.delivered(message, requester))
  return { requester, executor, line }
}

async function introduce(
  { client }: SharingOwner,
  us: TestOwner,
  identityName: string,
  { spec, ...rest }: Peer,
  peerName: string,
): Promise<void> {
  const { status, ...identity } = identityOf(us)
  await client.create<KubeObject>(identities, { ...identity, metadata: { name: identityName } }, { signal })
  await client.patch(identities, { name: identityName }, { status }, { signal, subresource: 'status' })
  const peer = { ...rest, metadata: { name: peerName }, spec: { ...spec, identityRef: { name: identityName } } }
  await client.create<KubeObject>(peers, peer, { signal })
}

function namespace(name: string, labels: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}
