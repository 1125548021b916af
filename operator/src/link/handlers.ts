import { type Clock, sleep } from '../kube/clock.ts'
import type { LinkConnection } from './connection.ts'
import type { Received, Receiver } from './courier/receiver.ts'
import type { Standings } from './courier/standings.ts'
import type { LinkPeer } from './link-peer.ts'
import type { Replica } from './peerings.ts'
import type { Principal } from './principal.ts'
import type { Roster } from './roster.ts'
import { CallError, codes } from './transport/call-error.ts'
import { type Route, route } from './transport/callee.ts'
import { highestCommon, presentAnswersVersion } from './versions.ts'
import { codeOfStanding, kindOfCode, roles, standingOfCode } from './wire/messages.ts'
import { deliver, hello, present } from './wire/methods.ts'

const refusalMilliseconds = 1000
const replicaName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/** What a peer may call on a connection. Who calls is the connection's principal, whatever a message says. */
export function createHandlers(deps: {
  roster: Roster
  clock: Clock
  replica: Replica
  mayCall: (peerName: string) => boolean
  receiver: Receiver
  standings: Standings
  onGreeted: (peerName: string) => void
}): (connection: LinkConnection) => readonly Route[] {
  const { roster, replica, receiver, standings } = deps

  /** The peer of the connection as it is known now; throws where it may not call any more. */
  async function admitted(principal: Principal, signal: AbortSignal): Promise<LinkPeer> {
    const peer = roster.get(principal.peerName)
    const same = peer?.trustDomain === principal.trustDomain && peer.clusterName === principal.clusterName
    if (peer?.mode !== 'Open' || !same)
      throw new CallError(codes.unavailable, 'NotAllowedNow', 'no calls are taken now')
    if (deps.mayCall(peer.name)) return peer
    // Not at once: whoever calls again right after a refusal would keep us as busy as if it were served.
    await sleep(deps.clock, refusalMilliseconds, signal)
    throw new CallError(codes.resourceExhausted, 'TooManyCalls', 'slow down')
  }

  function versionOf(connection: LinkConnection): number {
    const version = connection.greeting()?.version ?? 0
    if (version > 0) return version
    throw new CallError(codes.failedPrecondition, 'NoCommonVersion', 'no version of the protocol was agreed on')
  }

  return (connection) => [
    route(hello, async ({ versions, replica: theirs, replicas, role }, signal) => {
      const { name: peerName } = await admitted(connection.principal, signal)
      const caller = connection.purpose === 'control' ? 'Dialler' : 'Acceptor'
      if (role !== roles[caller])
        throw new CallError(codes.permissionDenied, 'WrongRole', `only the ${caller} calls here`)
      if (!replicaName.test(theirs)) throw new CallError(codes.invalidArgument, 'Malformed', 'that is no replica')
      const version = highestCommon(replica.versions, versions)
      connection.greeted({ version, replica: theirs, replicas: Math.min(64, Math.max(1, replicas)) })
      deps.onGreeted(peerName)
      return { version, replica: replica.name, replicas: replica.count }
    }),
    route(present, async ({ statements }, signal) => {
      const peer = await admitted(connection.principal, signal)
      const version = versionOf(connection)
      for (const { standing, envelope } of statements) {
        const name = standingOfCode(standing)
        if (name !== undefined) standings.take(peer, name, envelope)
      }
      if (version < presentAnswersVersion) return { statements: [] }
      return {
        statements: standings
          .ours(peer)
          .map((each) => ({ standing: codeOfStanding(each.standing), envelope: each.envelope })),
      }
    }),
    route(deliver, async ({ kind, requestId, sequence, envelope }, signal) => {
      const peer = await admitted(connection.principal, signal)
      versionOf(connection)
      const name = kindOfCode(kind)
      if (name === undefined)
        throw new CallError(codes.invalidArgument, 'UnknownKind', 'messages of that kind are not taken')
      return answerOf(await receiver.take(peer, { kind: name, requestId, sequence, envelope }, signal))
    }),
  ]
}

function answerOf(received: Received): { taken: number; refusal: { reason: string; message: string } | undefined } {
  return received.ok
    ? { taken: received.taken, refusal: undefined }
    : { taken: 0, refusal: { reason: received.reason, message: received.message } }
}
