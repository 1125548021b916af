import type { KubeClient } from '../../kube/client-types.ts'
import { peers } from '../../kube/hansa-resources.ts'
import { CliError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { strangerOf } from './accept.ts'
import { readJoinInput } from './join-input.ts'
import { changePeer, checkStranger, type Deps, identityWithKeys } from './lookup.ts'
import { type Reach, reachOf } from './reach.ts'

/** `peer complete FILE`: pins the accepter's key, unverified, in the Peer whose invite it accepts. */
export async function completeJoin(
  client: KubeClient,
  options: Reach & { acceptance: string },
  deps: Deps,
): Promise<void> {
  const { io, signal } = deps
  const { file: acceptance, sha256: acceptanceSha256 } = await readJoinInput('HansaAcceptance', options.acceptance)
  const { items } = await client.list(peers, { signal })
  const peer = items.find(
    ({ spec: { join } }) => join?.role === 'Inviter' && join.inviteSha256 === acceptance.inviteSha256,
  )
  const { join } = peer?.spec ?? {}
  if (peer === undefined || join === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `${options.acceptance} accepts none of the invites of this cluster`,
      'Was the invite changed on its way, or its Peer deleted? Invite again: kubectl hansa peer invite NAME --identity ID',
    )
  }
  const { name } = peer.metadata
  if (peer.spec.rootKey !== undefined) {
    throw new CliError(
      exitCodes.notReady,
      `the invite of Peer ${name} was accepted already; it works once`,
      `If it was accepted by another than you meant: kubectl hansa peer leave ${name}, then invite again.`,
    )
  }
  if (Date.parse(join.expires) <= io.now()) {
    throw new CliError(
      exitCodes.notReady,
      `the invite of Peer ${name} expired at ${join.expires}`,
      `Invite again: kubectl hansa peer leave ${name}, then kubectl hansa peer invite ${name} --identity ${peer.spec.identityRef.name}`,
    )
  }
  const { own } = await identityWithKeys(client, peer.spec.identityRef.name, deps)
  const accepter = strangerOf(acceptance.bundle, options.acceptance, io.now())
  await checkStranger(client, accepter, own, deps)
  const { rootKey, ownerId, clusterName, contact } = accepter.bundle
  const said = { ...(peer.spec.dial !== 'Both' && { dial: peer.spec.dial }), ...options }
  await changePeer(
    client,
    peer,
    {
      spec: {
        ownerId,
        clusterName,
        rootKey,
        bundle: acceptance.bundle,
        join: { ...join, accepterNonce: acceptance.nonce, acceptanceSha256 },
        ...(contact !== undefined && { contact }),
        ...reachOf(said, own.bundle, accepter.bundle),
      },
    },
    deps,
  )
  io.err(
    `Peer ${name} is ${ownerId}, cluster ${clusterName}, if nobody changed the files. Call the other admin and compare:\n  kubectl hansa peer fingerprint ${name}\n  kubectl hansa peer verify ${name}\n`,
  )
}
