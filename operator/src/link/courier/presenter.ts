import { type Clock, sleep } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { LinkConnection } from '../connection.ts'
import type { LinkPeer } from '../link-peer.ts'
import type { Peerings } from '../peerings.ts'
import type { Roster } from '../roster.ts'
import { presentAnswersVersion } from '../versions.ts'
import { codeOfStanding, standingOfCode } from '../wire/messages.ts'
import { present } from '../wire/methods.ts'
import type { Standings, Statement } from './standings.ts'

const callSeconds = 10
const retryMilliseconds = 5000

/** Tells peers how we stand: on every new connection, and when it has changed. */
export function startPresenter(
  deps: { roster: Roster; peerings: Peerings; standings: Standings; clock: Clock; log: Logger },
  signal: AbortSignal,
): { close(): void } {
  const { roster, peerings, standings, clock, log } = deps
  const said = new WeakMap<LinkConnection, string>()
  const busy = new WeakSet<LinkConnection>()

  function look(peerName: string): void {
    const peer = roster.get(peerName)
    if (peer?.mode !== 'Open') return
    for (const connection of peerings.of(peerName)) {
      if (connection.usable() && !busy.has(connection)) void tell(peerName, connection)
    }
  }

  async function tell(peerName: string, connection: LinkConnection): Promise<void> {
    busy.add(connection)
    try {
      while (connection.usable() && !signal.aborted) {
        const peer = roster.get(peerName)
        if (peer?.mode !== 'Open') return
        const statements = standings.ours(peer)
        const text = JSON.stringify(statements)
        if (said.get(connection) === text) return
        try {
          await presentTo(peer, connection, statements)
          said.set(connection, text)
        } catch (error) {
          log.debug({ peer: peerName, error: messageOf(error) }, 'could not say how we stand')
          await sleep(clock, retryMilliseconds, signal)
        }
      }
    } finally {
      busy.delete(connection)
    }
  }

  async function presentTo(peer: LinkPeer, connection: LinkConnection, statements: Statement[]): Promise<void> {
    const answer = await sayTo(connection, statements, signal)
    if ((connection.greeting()?.version ?? 0) < presentAnswersVersion) return
    const now = roster.get(peer.name)
    for (const { standing, envelope } of answer) if (now?.mode === 'Open') standings.take(now, standing, envelope)
  }

  const unsubscribe = [roster.subscribe(look), peerings.subscribe(look)]
  return {
    close: () => {
      for (const stop of unsubscribe) stop()
    },
  }
}

/** One Present over one connection; what the other side answers. */
export async function sayTo(
  connection: LinkConnection,
  statements: readonly Statement[],
  signal: AbortSignal,
): Promise<Statement[]> {
  const request = {
    statements: statements.map(({ standing, envelope }) => ({ standing: codeOfStanding(standing), envelope })),
  }
  const answer = await connection.caller?.call(present, request, { signal, timeoutSeconds: callSeconds })
  return (answer?.statements ?? []).flatMap(({ standing, envelope }) => {
    const name = standingOfCode(standing)
    return name === undefined ? [] : [{ standing: name, envelope }]
  })
}
