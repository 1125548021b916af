import { existsSync } from 'node:fs'
import type { PeerSpec } from '../../api/peer.ts'
import { apiVersion } from '../../api/resource.ts'
import { isAlreadyExists } from '../../kube/api-error.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { peers } from '../../kube/hansa-resources.ts'
import { instantOf, sha256Of, writeJoinFile } from '../../peer/join-file.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { describeTreaty } from './describe-treaty.ts'
import { writeJoinOutput } from './join-input.ts'
import { checkPeerName, type Deps, fieldManager, identityWithKeys, type RandomDeps } from './lookup.ts'
import { type Reach, reachOf } from './reach.ts'

export type InviteOptions = Reach & {
  name: string
  identity: string
  lifeSeconds: number
  file: string | undefined
  dryRun: boolean
}

/** `peer invite NAME`: makes the Peer that waits for an acceptance, and writes the invite. */
export async function invitePeer(client: KubeClient, options: InviteOptions, deps: RandomDeps): Promise<void> {
  const { name, identity, lifeSeconds, file } = options
  const { io } = deps
  checkPeerName(name)
  const { own, envelope } = await identityWithKeys(client, identity, deps)
  if (options.dryRun) {
    await describeTreaty(client, { peerName: name, own: own.bundle, theirs: undefined }, deps)
    return
  }
  if (file !== undefined && existsSync(file))
    throw usageError(`there is a file ${file} already`, 'Name another with -o.')
  const nonce = Buffer.from(deps.random(32)).toString('base64url')
  const expires = instantOf(io.now() + lifeSeconds * 1000)
  const text = writeJoinFile({ kind: 'HansaInvite', version: 1, nonce, expires, bundle: envelope })
  await createPeer(
    client,
    name,
    {
      identityRef: { name: identity },
      join: {
        role: 'Inviter',
        ownRootKey: own.bundle.rootKey,
        inviteSha256: sha256Of(text),
        inviterNonce: nonce,
        expires,
      },
      ...reachOf(options, own.bundle, undefined),
    },
    deps,
  )
  await handOver(client, name, text, file, deps)
  io.err(
    `The invite for Peer ${name} expires at ${expires} and can be accepted once. Send it to the other admin; when the acceptance comes:\n  kubectl hansa peer complete FILE\n`,
  )
}

/** Creates a Peer, and says so when there is one of that name. */
export async function createPeer(
  client: KubeClient,
  name: string,
  spec: Pick<PeerSpec, 'identityRef'> & Partial<PeerSpec>,
  { signal }: Deps,
): Promise<void> {
  try {
    const object = {
      apiVersion,
      kind: 'Peer',
      metadata: { name },
      spec: { dial: 'Both' as const, seesOffers: true, suspend: false, ...spec },
    }
    await client.create(peers, object, { signal, fieldManager })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    throw new CliError(
      exitCodes.notReady,
      `there is a Peer ${name} already`,
      `Take another name, or leave it first: kubectl hansa peer leave ${name}`,
      error,
    )
  }
}

/** Writes the file of a join; a Peer without it would be of no use and is taken back. */
export async function handOver(
  client: KubeClient,
  name: string,
  text: string,
  file: string | undefined,
  { io, signal }: Deps,
): Promise<void> {
  try {
    await writeJoinOutput(text, file, io)
  } catch (error) {
    await client.delete(peers, { name }, { signal })
    throw error
  }
}
