import type { EgressPolicy } from '../../api/egress-policy.ts'
import type { SharePolicy } from '../../api/share-policy.ts'
import type { Bundle } from '../../federation/messages.ts'
import { keyIdOf } from '../../federation/public-key.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { egressPolicies, sharePolicies } from '../../kube/hansa-resources.ts'
import { plain } from '../io.ts'
import type { Deps } from './lookup.ts'

/** `--dry-run`: everything that a Peer of that name will be able to ask of us and see of us, and what may go to it. */
export async function describeTreaty(
  client: KubeClient,
  { peerName, own, theirs }: { peerName: string; own: Bundle; theirs: Bundle | undefined },
  { io, signal }: Deps,
): Promise<void> {
  const [shares, egresses] = await Promise.all([
    client.list(sharePolicies, { signal }),
    client.list(egressPolicies, { signal }),
  ])
  const named = <P extends { spec: { peers?: readonly { name: string }[] | undefined } }>(policies: readonly P[]) =>
    policies.filter(({ spec }) => spec.peers?.some(({ name }) => name === peerName))
  const lines = [
    ...(theirs === undefined ? [] : ['The file says that the other side is', ...who(theirs), '']),
    `What ${peerName} will be able to ask of this cluster`,
    ...orNothing(named(shares.items).flatMap(share), 'nothing: no SharePolicy names it'),
    '',
    `What ${peerName} will see of this cluster`,
    ...who(own),
    ...offersSeen(named(shares.items)),
    '  of its own work here: decision with reasons, replicas, GPU seconds',
    '  nothing else: no access to the API server, no Secret, no object, no other peer',
    '',
    `What may go from here to ${peerName}`,
    ...orNothing(named(egresses.items).flatMap(egress), 'nothing: no EgressPolicy names it'),
    '',
    'Nothing was written. None of this holds before both admins have verified the fingerprint.',
  ]
  io.out(`${lines.map(plain).join('\n')}\n`)
}

function who({ ownerId, clusterName, trustDomain, rootKey, contact, address, dataAddress }: Bundle): string[] {
  return [
    `  owner ${ownerId}, cluster ${clusterName}`,
    `  trust domain ${trustDomain}, root key ${keyIdOf(rootKey)}`,
    `  contact ${contact ?? 'not said'}`,
    `  link ${address ?? 'not reachable from outside'}, gateway ${dataAddress ?? 'not reachable from outside'}`,
  ]
}

function share({ metadata, spec }: SharePolicy): string[] {
  const windows = (spec.windows ?? []).map(
    ({ days, start, end, timeZone }) => `${days === undefined ? '' : `${days.join(' ')} `}${start}-${end} ${timeZone}`,
  )
  return [
    `  SharePolicy ${metadata.name}${spec.suspend ? ' (suspended: nothing now)' : ''}`,
    `    workloads      ${spec.workloads.join(', ')}, in namespace ${spec.targetNamespace}`,
    `    at most        ${amounts(spec.quota)}; ${spec.maxLeases} leases`,
    `    when           ${windows.length === 0 ? 'always' : windows.join('; ')}; ${spec.availability === 'IdleOnly' ? 'only what is idle' : 'also beside our own work'}`,
    `    data classes   ${spec.dataClasses.join(', ')}`,
    `    purposes       ${spec.purposes?.join(', ') ?? 'any'}`,
    `    models         ${spec.modelDigests?.join(', ') ?? 'any'}`,
    `    priority       ${spec.priorityClassName}${spec.queueName === undefined ? '' : `, queue ${spec.queueName}`}`,
    `    without a link up to ${spec.maxLeaseSeconds} s; ${spec.drainTimeoutSeconds} s to finish when ended`,
    `    price          ${spec.price === undefined ? 'free' : `${money(spec.price.microsPerGPUHour)} ${spec.price.currency} a GPU hour`}`,
  ]
}

function offersSeen(policies: readonly SharePolicy[]): string[] {
  const open = policies
    .filter(({ spec }) => spec.offer === 'Bands' && !spec.suspend)
    .map(({ metadata }) => metadata.name)
  return open.length === 0
    ? ['  no offers']
    : [`  offers: GPU model, free GPUs in bands, classes, price, windows of ${open.join(', ')}`]
}

function egress({ metadata, spec }: EgressPolicy): string[] {
  return [
    `  EgressPolicy ${metadata.name}${spec.suspend ? ' (suspended: nothing now)' : ''}`,
    `    ${spec.workloads.join(', ')}: models and requests of data classes ${spec.dataClasses.join(', ')}`,
    `    from namespaces ${spec.namespaces?.join(', ') ?? (spec.namespaceSelector === undefined ? 'all of those classes' : `with ${pairs(spec.namespaceSelector)}`)}`,
    `    spending at most ${spec.spendLimit === undefined ? 'nothing: only what is free' : `${money(spec.spendLimit.microsPerDay)} ${spec.spendLimit.currency} a day`}`,
  ]
}

function amounts(quota: Readonly<Record<string, string>>): string {
  const all = Object.entries(quota).map(([name, amount]) => `${name} ${amount}`)
  return all.length === 0 ? 'nothing' : all.join(', ')
}

function pairs(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
}

function money(micros: number): string {
  return (micros / 1_000_000).toString()
}

function orNothing(lines: string[], text: string): string[] {
  return lines.length === 0 ? [`  ${text}`] : lines
}
