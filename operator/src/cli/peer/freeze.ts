import { freezeReasonAnnotation, leaveAnnotation } from '../../api/peer.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { identities } from '../../kube/hansa-resources.ts'
import { CliError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { plain } from '../io.ts'
import { changePeer, type Deps, existingPeer, fieldManager } from './lookup.ts'

/** `peer freeze NAME`: guest work of the peer stops, nothing is asked of it, its connections are cut. */
export async function freezePeer(
  client: KubeClient,
  { name, reason }: { name: string; reason: string },
  deps: Deps,
): Promise<void> {
  const peer = await existingPeer(client, name, deps)
  await changePeer(client, peer, { spec: { suspend: true }, annotations: { [freezeReasonAnnotation]: reason } }, deps)
  deps.io.err(`Peer ${name} is frozen: its guest work stops, nothing is asked of it, its connections are cut.\n`)
}

/** `peer unfreeze NAME`. */
export async function unfreezePeer(client: KubeClient, { name }: { name: string }, deps: Deps): Promise<void> {
  const peer = await existingPeer(client, name, deps)
  await changePeer(
    client,
    peer,
    { spec: { suspend: false }, annotations: { [freezeReasonAnnotation]: null, [leaveAnnotation]: null } },
    deps,
  )
  deps.io.err(`Peer ${name} is not frozen any more.\n`)
}

/** `freeze` and `unfreeze`: all foreign work of one Identity, or of all. */
export async function freezeAll(
  client: KubeClient,
  { identity, suspend }: { identity: string | undefined; suspend: boolean },
  { io, signal }: Deps,
): Promise<void> {
  const { items } = await client.list(identities, { signal })
  const names = items.map(({ metadata }) => metadata.name).filter((name) => identity === undefined || name === identity)
  if (names.length === 0) {
    const what = identity === undefined ? 'there is no Identity' : `there is no Identity ${plain(identity)}`
    throw new CliError(exitCodes.notFound, `${what}, so there is no foreign work of it`)
  }
  // Without the version that was read: freezing must not fail because somebody else changes something else.
  for (const name of names) {
    await client.patch(identities, { name }, { spec: { suspend } }, { signal, fieldManager })
    const what = suspend
      ? 'frozen: no requests go out, none are accepted, guest work stops'
      : 'not frozen any more; Peers that are frozen by themselves stay so'
    io.err(`Identity ${name} is ${what}.\n`)
  }
}
