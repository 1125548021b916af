import type { Peer } from '../../api/peer.ts'
import { freezeReasonAnnotation } from '../../api/peer.ts'
import { type PeerConditionType, peerReasons } from '../../api/peer-reasons.ts'
import type { ReasonCatalogue } from '../../api/reason.ts'
import { apiVersion } from '../../api/resource.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { conditionOf, isTrue } from '../../kube/conditions.ts'
import { peers } from '../../kube/hansa-resources.ts'
import { ownersOf } from '../../peer/owners.ts'
import { plain } from '../io.ts'
import { age, columns, type Format, printObject } from '../output.ts'
import { type Deps, existingPeer } from './lookup.ts'

/** `peer list`. */
export async function listPeers(
  client: KubeClient,
  { output }: { output: Format },
  { io, signal }: Deps,
): Promise<void> {
  const { items } = await client.list(peers, { signal })
  if (output !== 'table') {
    await printObject(io, output, { apiVersion, kind: 'PeerList', items })
    return
  }
  if (items.length === 0) {
    io.err('There is no Peer. Invite one: kubectl hansa peer invite NAME --identity ID\n')
    return
  }
  const head = ['NAME', 'OWNER', 'CLUSTER', 'IDENTITY', 'VERIFIED', 'CONNECTED', 'READY', 'REASON', 'AGE']
  io.out(
    columns(
      head,
      items.map(({ metadata, spec, status }) => [
        metadata.name,
        spec.ownerId ?? '',
        spec.clusterName ?? '',
        spec.identityRef.name,
        ...['Verified', 'Connected', 'Ready'].map((type) => conditionOf(status?.conditions, type)?.status ?? 'Unknown'),
        conditionOf(status?.conditions, 'Ready')?.reason ?? 'NotLookedAt',
        age(metadata.creationTimestamp, io.now()),
      ]),
    ),
  )
  const owners = ownersOf(items.filter(({ status }) => isTrue(status?.conditions, 'Verified')))
  io.err(`${owners.length} verified ${owners.length === 1 ? 'owner' : 'owners'}\n`)
}

const catalogue: Readonly<Record<string, ReasonCatalogue>> = peerReasons satisfies Record<
  PeerConditionType,
  ReasonCatalogue
>

/** `peer show NAME`: one Peer with what is wrong and what to do. Returns whether it is Ready. */
export async function showPeer(
  client: KubeClient,
  { name, output }: { name: string; output: Format },
  deps: Deps,
): Promise<boolean> {
  const { io } = deps
  const peer = await existingPeer(client, name, deps)
  if (output === 'table') io.out(`${lines(peer).map(plain).join('\n')}\n`)
  else await printObject(io, output, peer)
  return isTrue(peer.status?.conditions, 'Ready')
}

function lines({ metadata, spec, status }: Peer): string[] {
  const facts: [string, string | undefined][] = [
    ['owner', spec.ownerId],
    ['cluster', spec.clusterName],
    ['trust domain', status?.trustDomain],
    ['identity', spec.identityRef.name],
    ['contact', spec.contact],
    ['contract', spec.contractId],
    ['who dials', spec.dial],
    ['link', spec.address],
    ['gateway', spec.dataAddress],
    ['proxy', spec.proxy?.url],
    ['frozen', spec.suspend ? (metadata.annotations?.[freezeReasonAnnotation] ?? 'yes') : undefined],
    ['keys until', status?.bundle?.notAfter],
  ]
  const conditions = status?.conditions ?? []
  const said = new Set<string>()
  return [
    `Peer ${metadata.name}`,
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(12)}  ${value}`])),
    ...(status?.links ?? []).map(
      ({ replica, connected, direction, message }) =>
        `  link of ${replica}: ${connected ? `connected, ${direction}` : `not connected${message === undefined ? '' : `: ${message}`}`}`,
    ),
    ...(conditions.length === 0 ? ['  the operator has not looked at it yet; is it running? kubectl hansa check'] : []),
    ...conditions.flatMap(({ type, status: value, reason, message }) => {
      const mark = value === 'True' ? '+' : value === 'False' ? 'x' : '?'
      const remedy = catalogue[type]?.[reason]?.remedy
      const line = `  ${mark} ${type}: ${reason}${message === '' ? '' : `: ${message}`}`
      if (value === 'True' || remedy === undefined || said.has(reason)) return [line]
      said.add(reason)
      return [line, `      ${remedy}`]
    }),
  ]
}
