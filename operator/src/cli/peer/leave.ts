import { leaveAnnotation } from '../../api/peer.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { sleep, systemClock } from '../../kube/clock.ts'
import { isTrue } from '../../kube/conditions.ts'
import { peers } from '../../kube/hansa-resources.ts'
import { messageOf } from '../../process/errors.ts'
import { CliError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import type { Ask } from '../io.ts'
import { changePeer, type Deps, existingPeer } from './lookup.ts'

const goodbyeMilliseconds = 5_000
const handOverMilliseconds = 1_500

/**
 * `peer leave NAME`: deletes the Peer. While the other side is connected it is told first, for some seconds at most; that it is gone, or our
 * own operator, keeps nobody here.
 */
export async function leavePeer(
  client: KubeClient,
  { name, yes }: { name: string; yes: boolean },
  { ask, ...deps }: Deps & { ask: Ask | undefined },
): Promise<void> {
  const { io, signal } = deps
  const peer = await existingPeer(client, name, deps)
  if (!yes) await confirmByName(name, ask, signal)
  if (isTrue(peer.status?.conditions, 'Connected')) {
    await sayGoodbye(client, name, deps).catch((error: unknown) => {
      signal.throwIfAborted()
      io.err(`The other side could not be told: ${messageOf(error)}\n`)
    })
  }
  await client.delete(peers, { name }, { signal, uid: peer.metadata.uid })
  io.err(
    `Peer ${name} is deleted: its guest work here ends now, what it runs for us ends with its lease at the latest, and its key opens nothing here.\n`,
  )
}

async function sayGoodbye(client: KubeClient, name: string, deps: Deps): Promise<void> {
  const { io, signal } = deps
  const before = await existingPeer(client, name, deps)
  const earlier = before.status?.statement?.goodbye
  await changePeer(
    client,
    before,
    { spec: { suspend: true }, annotations: { [leaveAnnotation]: new Date(io.now()).toISOString() } },
    deps,
  )
  const patience = AbortSignal.any([signal, AbortSignal.timeout(goodbyeMilliseconds)])
  while (!patience.aborted) {
    const { status } = await existingPeer(client, name, deps)
    if (status?.statement?.goodbye !== undefined && status.statement.goodbye !== earlier) {
      await sleep(systemClock, handOverMilliseconds, patience)
      return
    }
    await sleep(systemClock, 200, patience)
  }
  io.err('The operator has signed no goodbye in time; the other side will see that we are gone.\n')
}

/** Asks for the name of what is about to be given up; anything else ends the command. */
export async function confirmByName(name: string, ask: Ask | undefined, signal: AbortSignal): Promise<void> {
  const line = await ask?.(`This cannot be undone. Type ${name} to go on: `, signal)
  if (line?.trim() === name) return
  throw new CliError(exitCodes.usage, 'not confirmed; nothing was done', 'Scripts confirm with --yes.')
}
