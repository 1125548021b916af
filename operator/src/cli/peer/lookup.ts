import type { OwnerIdentity } from '../../api/identity.ts'
import { peerName } from '../../api/owner-scalars.ts'
import type { Peer } from '../../api/peer.ts'
import { objectNameLength } from '../../api/scalar.ts'
import type { CheckedBundle } from '../../federation/bundle.ts'
import { bundleOfIdentity } from '../../federation/peer-bundle.ts'
import { isConflict } from '../../kube/api-error.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { identities, peers } from '../../kube/hansa-resources.ts'
import type { Live } from '../../kube/resource.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { type Io, plain } from '../io.ts'

export type Deps = { io: Io; signal: AbortSignal }
export type RandomDeps = Deps & {
  /** Random bytes from a cryptographic source. */
  random: (bytes: number) => Uint8Array
}

export const fieldManager = 'kubectl-hansa'

/** The Identity of that name, with the bundle that peers get of it. */
export async function identityWithKeys(
  client: KubeClient,
  name: string,
  { io, signal }: Deps,
): Promise<{ identity: OwnerIdentity; own: CheckedBundle; envelope: string }> {
  const identity = await client.get(identities, { name }, { signal })
  if (identity === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `there is no Identity ${plain(name)}`,
      `Make it: kubectl hansa identity create ${plain(name)} --owner OWNER`,
    )
  }
  const own = bundleOfIdentity(identity, { now: io.now() })
  if (!own.ok || identity.status?.bundle === undefined) {
    throw new CliError(
      exitCodes.notReady,
      `Identity ${name} has no usable keys yet: ${own.ok ? 'no bundle was published' : own.problem.message}`,
      'The operator makes them within seconds; does it run? kubectl hansa check',
    )
  }
  return { identity, own, envelope: identity.status.bundle.envelope }
}

/** The Peer of that name. */
export async function existingPeer(client: KubeClient, name: string, { signal }: Deps): Promise<Live<Peer>> {
  const peer = await client.get(peers, { name }, { signal })
  if (peer !== undefined) return peer
  throw new CliError(exitCodes.notFound, `there is no Peer ${plain(name)}`, 'See kubectl hansa peer list')
}

const mostConflicts = 10

/**
 * Changes a Peer that was read, unless somebody else has changed its spec since. What operator and link write into its status
 * meanwhile does not matter.
 */
export async function changePeer(
  client: KubeClient,
  peer: Live<Peer>,
  change: { spec?: Record<string, unknown>; annotations?: Record<string, string | null> },
  { signal }: Deps,
): Promise<Live<Peer>> {
  const { name, uid, generation } = peer.metadata
  const { spec, annotations } = change
  let { resourceVersion } = peer.metadata
  for (let attempt = 1; ; attempt++) {
    const metadata = { uid, resourceVersion, ...(annotations !== undefined && { annotations }) }
    const patch = { metadata, ...(spec !== undefined && { spec }) }
    try {
      return await client.patch(peers, { name }, patch, { signal, fieldManager })
    } catch (error) {
      if (!isConflict(error)) throw error
      const current = await client.get(peers, { name }, { signal })
      const isSame = current?.metadata.uid === uid && current.metadata.generation === generation
      if (current === undefined || !isSame || attempt >= mostConflicts) throw changedMeanwhile(name, error)
      resourceVersion = current.metadata.resourceVersion
    }
  }
}

function changedMeanwhile(name: string, cause: unknown): CliError {
  return new CliError(exitCodes.notReady, `Peer ${name} was changed by somebody else just now`, 'Try again.', cause)
}

/** Names of Peers stand in policies, so they are as short as those of other kinds. */
export function checkPeerName(name: string): void {
  if (peerName.safeParse(name).success) return
  throw usageError(
    `"${plain(name)}" is no name of a Peer: it must be a DNS label of at most ${objectNameLength} characters`,
  )
}

/** Refuses a second Peer of the same cluster of the same owner, and ourselves. */
export async function checkStranger(
  client: KubeClient,
  stranger: CheckedBundle,
  own: CheckedBundle,
  { signal }: Deps,
): Promise<void> {
  const { trustDomain, clusterName } = stranger.bundle
  if (trustDomain === own.bundle.trustDomain) {
    throw new CliError(
      exitCodes.source,
      'the file carries our own key',
      'An owner does not join itself. Was our own file sent back?',
    )
  }
  const { items } = await client.list(peers, { signal })
  const known = items.find(
    ({ spec, status }) =>
      spec.rootKey !== undefined &&
      (stranger.rootKeys.includes(spec.rootKey) || status?.trustDomain === trustDomain) &&
      spec.clusterName === clusterName,
  )
  if (known === undefined) return
  throw new CliError(
    exitCodes.notReady,
    `Peer ${known.metadata.name} is that cluster of that owner already`,
    `To join anew, leave first: kubectl hansa peer leave ${known.metadata.name}`,
  )
}
