import { timingSafeEqual } from 'node:crypto'
import type { Peer } from '../../api/peer.ts'
import { readFingerprint } from '../../federation/transcript.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import type { Live } from '../../kube/resource.ts'
import { introduceOnceMore } from '../../peer/introduce.ts'
import { fingerprintOfPeer } from '../../peer/transcript-of-peer.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import type { Ask } from '../io.ts'
import { changePeer, type Deps, existingPeer, identityWithKeys } from './lookup.ts'

/** `peer fingerprint NAME`: our fingerprint of the join, to be read out to the other admin. */
export async function showFingerprint(client: KubeClient, { name }: { name: string }, deps: Deps): Promise<void> {
  const fingerprint = await expectedFingerprint(client, await existingPeer(client, name, deps), deps)
  deps.io.err(
    `Call the other admin at a number that you have from elsewhere than the files of the join, and read this out. Do not send it, and do not type it in here: you type what the other reads out.\n`,
  )
  deps.io.out(`${fingerprint}\n`)
}

/** `peer verify NAME`: compares what the other admin read out with our own; the right one makes the Peer Verified. */
export async function verifyPeer(
  client: KubeClient,
  { name, fingerprint }: { name: string; fingerprint?: string },
  { ask, ...deps }: Deps & { ask: Ask | undefined },
): Promise<void> {
  const peer = await existingPeer(client, name, deps)
  const expected = await expectedFingerprint(client, peer, deps)
  const said = fingerprint ?? (await heard(name, ask, deps.signal))
  const typed = readFingerprint(said)
  if (typed === undefined) {
    throw usageError('that is no fingerprint: it has 8 groups of 4 digits from 0-9 and a-f', 'Ask to hear it again.')
  }
  if (!timingSafeEqual(Buffer.from(typed), Buffer.from(expected))) {
    throw new CliError(
      exitCodes.notReady,
      `that is not the fingerprint of the join of Peer ${name}; the Peer stays unverified`,
      `Hear it once more. If it still differs, somebody may have changed a file on the way: both leave (kubectl hansa peer leave ${name}) and join again, sending the files over another way.`,
    )
  }
  await changePeer(client, peer, { spec: { fingerprint: typed } }, deps)
  deps.io.err(
    `Peer ${name} is verified on this side: the key is that of whom you spoke to. The other admin types what you read out (kubectl hansa peer fingerprint ${name}).\n`,
  )
}

async function heard(name: string, ask: Ask | undefined, signal: AbortSignal): Promise<string> {
  const question = `Call the other admin at a number that you have from elsewhere than the files of the join.\nType the fingerprint of Peer ${name} that you hear: `
  const line = await ask?.(question, signal)
  if (line !== undefined) return line
  throw usageError('nothing was typed', 'Scripts give it with --fingerprint.')
}

async function expectedFingerprint(client: KubeClient, peer: Live<Peer>, deps: Deps): Promise<string> {
  const { name } = peer.metadata
  const { own } = await identityWithKeys(client, peer.spec.identityRef.name, deps)
  if (peer.spec.rootKey === undefined) {
    throw new CliError(
      exitCodes.notReady,
      `Peer ${name} is only invited`,
      'When the acceptance has come: kubectl hansa peer complete FILE',
    )
  }
  const theirs = introduceOnceMore(peer.spec)
  const fingerprint = theirs.ok ? fingerprintOfPeer(peer.spec, own, theirs.bundle) : undefined
  if (fingerprint !== undefined) return fingerprint
  throw new CliError(
    exitCodes.notReady,
    `Peer ${name} has no complete record of a join${theirs.ok ? '' : `: its bundle cannot be taken: ${theirs.problem.message}`}`,
    `It was not made by kubectl hansa peer; leave it and join again: kubectl hansa peer leave ${name}`,
  )
}
