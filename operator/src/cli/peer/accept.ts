import { existsSync } from 'node:fs'
import type { CheckedBundle } from '../../federation/bundle.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { introduce } from '../../peer/introduce.ts'
import { sha256Of, writeJoinFile } from '../../peer/join-file.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { describeTreaty } from './describe-treaty.ts'
import { createPeer, handOver } from './invite.ts'
import { readJoinInput } from './join-input.ts'
import { checkPeerName, checkStranger, identityWithKeys, type RandomDeps } from './lookup.ts'
import { type Reach, reachOf } from './reach.ts'

export type AcceptOptions = Reach & {
  invite: string
  name: string
  identity: string
  file: string | undefined
  dryRun: boolean
}

/** `peer accept FILE`: pins the inviter's key, unverified, and writes the acceptance. */
export async function acceptInvite(client: KubeClient, options: AcceptOptions, deps: RandomDeps): Promise<void> {
  const { name, identity, file } = options
  const { io } = deps
  checkPeerName(name)
  const { file: invite, sha256: inviteSha256 } = await readJoinInput('HansaInvite', options.invite)
  if (Date.parse(invite.expires) <= io.now()) {
    throw new CliError(exitCodes.source, `the invite expired at ${invite.expires}`, 'Ask for a new one.')
  }
  const { own, envelope } = await identityWithKeys(client, identity, deps)
  const inviter = strangerOf(invite.bundle, options.invite, io.now())
  await checkStranger(client, inviter, own, deps)
  if (options.dryRun) {
    await describeTreaty(client, { peerName: name, own: own.bundle, theirs: inviter.bundle }, deps)
    return
  }
  if (file !== undefined && existsSync(file))
    throw usageError(`there is a file ${file} already`, 'Name another with -o.')
  const nonce = Buffer.from(deps.random(32)).toString('base64url')
  const text = writeJoinFile({ kind: 'HansaAcceptance', version: 1, inviteSha256, nonce, bundle: envelope })
  const { rootKey, ownerId, clusterName, contact } = inviter.bundle
  await createPeer(
    client,
    name,
    {
      identityRef: { name: identity },
      ownerId,
      clusterName,
      rootKey,
      bundle: invite.bundle,
      join: {
        role: 'Accepter',
        ownRootKey: own.bundle.rootKey,
        inviteSha256,
        acceptanceSha256: sha256Of(text),
        inviterNonce: invite.nonce,
        accepterNonce: nonce,
        expires: invite.expires,
      },
      ...(contact !== undefined && { contact }),
      ...reachOf(options, own.bundle, inviter.bundle),
    },
    deps,
  )
  await handOver(client, name, text, file, deps)
  io.err(
    `Peer ${name} is ${ownerId}, cluster ${clusterName}, if nobody changed the file. Send the acceptance back, then call the other admin and compare:\n  kubectl hansa peer fingerprint ${name}\n  kubectl hansa peer verify ${name}\n`,
  )
}

/** The bundle of a join file; a refusal names the file. */
export function strangerOf(envelope: string, path: string, now: number): CheckedBundle {
  const verdict = introduce(envelope, now)
  if (verdict.ok) return verdict
  throw new CliError(
    exitCodes.source,
    `the bundle in ${path} cannot be taken: ${verdict.problem.message}`,
    'Ask for a new file; if it happens again, ask for it over another way.',
  )
}
