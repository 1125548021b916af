import { fingerprintOf, type JoinSide, type Transcript } from '@hansa/operator/federation/transcript.ts'
import { sha256Of, writeJoinFile } from '@hansa/operator/peer/join-file.ts'
import type { TestOwner } from '../../builders/federation.ts'
import type { Random } from './random.ts'

/**
 * Tries nonces for the attacker's acceptance until the inviter would read out a fingerprint as near as can be to the one that the
 * accepter reads out. Returns the best file and how many of its leading bits agree.
 */
export function grind(
  given: {
    inviter: JoinSide
    mallory: TestOwner
    inviteSha256: string
    expires: string
    target: string
    attempts: number
  },
  random: Random,
): { acceptance: string; bits: number } {
  const { inviter, mallory, inviteSha256, expires, target, attempts } = given
  const { rootKey, trustDomain, ownerId, clusterName } = mallory.bundle
  const wanted = Buffer.from(target.replaceAll('-', ''), 'hex')
  let best = { acceptance: '', bits: -1 }
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const nonce = random.bytes(32).toString('base64url')
    const acceptance = writeJoinFile({
      kind: 'HansaAcceptance',
      version: 1,
      inviteSha256,
      nonce,
      bundle: mallory.envelope,
    })
    const accepter: JoinSide = { rootKey, trustDomain, ownerId, clusterName, nonce }
    const transcript: Transcript = {
      inviteSha256,
      acceptanceSha256: sha256Of(acceptance),
      expires,
      inviter,
      accepter,
    }
    const bits = commonBits(Buffer.from(fingerprintOf(transcript).replaceAll('-', ''), 'hex'), wanted)
    if (bits > best.bits) best = { acceptance, bits }
  }
  return best
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i += 1) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0)
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24
  }
  return a.length * 8
}
