import type { Clock } from '../kube/clock.ts'
import { HansaError } from '../process/errors.ts'
import { dateTimeOf } from './date-time.ts'
import { signEnvelope } from './dsse.ts'
import type { Seal } from './federation.ts'
import { type Bundle, messageKinds, type Role } from './messages.ts'
import { bundleOfPeer } from './peer-bundle.ts'
import type { Signer } from './signer.ts'

/** What seals messages of one Identity: its published bundle, and the key of a role to sign with now. */
export type Sealing = { bundle: Bundle; signerOf(role: Role): Signer }

/** Makes a `Seal`. `sealingOf` throws when an Identity cannot sign now, which the caller of the seal sees. */
export function createSeal(deps: {
  sealingOf: (identityName: string, signal: AbortSignal) => Promise<Sealing>
  clock: Pick<Clock, 'now'>
}): Seal {
  return async (kind, message, { identityName, peer, seconds, signal }) => {
    const now = deps.clock.now()
    const audience = bundleOfPeer(peer, { now, ignoreExpiry: true })
    if (!audience.ok) {
      throw new HansaError(
        'PeerNotReady',
        `a message cannot be addressed to Peer ${peer.metadata.name}: ${audience.problem.message}`,
      )
    }
    const { bundle, signerOf } = await deps.sealingOf(identityName, signal)
    const { payloadType, signedBy, schema } = messageKinds[kind]
    const sealed = {
      ...message,
      version: 1,
      issuer: clusterOf(bundle),
      audience: clusterOf(audience.bundle),
      issued: dateTimeOf(now),
      expires: dateTimeOf(now + seconds * 1000),
    }
    const { error } = schema.safeParse(sealed)
    if (error !== undefined) {
      const [issue] = error.issues
      const where = issue?.path.join('.') ?? ''
      throw new HansaError(
        'MessageInvalid',
        `a message of kind ${kind} has no valid form at ${where}: ${issue?.message}`,
        {
          retry: 'never',
        },
      )
    }
    return signEnvelope(payloadType, sealed, signerOf(signedBy), signal)
  }
}

function clusterOf({ trustDomain, clusterName }: Bundle): { trustDomain: string; clusterName: string } {
  return { trustDomain, clusterName }
}
