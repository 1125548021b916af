import type { PeerSpec } from '../api/peer.ts'
import { type BundleVerdict, checkBundle } from '../federation/bundle.ts'
import { parseCanonicalJson } from '../federation/canonical-json.ts'
import { readEnvelope } from '../federation/dsse.ts'
import { bundleSchema } from '../federation/messages.ts'

/**
 * Checks the bundle of a stranger as far as that goes: that it is whole, unexpired, and signed by the root key that it names. Whose
 * key that is, only the fingerprint tells.
 */
export function introduce(envelope: string, now: number): BundleVerdict {
  const read = readEnvelope(envelope)
  const { data } = bundleSchema.safeParse(read === undefined ? undefined : parseCanonicalJson(read.payload)?.value)
  if (data === undefined)
    return { ok: false, problem: { reason: 'Malformed', message: 'it has not the form of a bundle' } }
  const verdict = checkBundle(envelope, { pinnedKey: data.rootKey, now })
  if (!verdict.ok || !verdict.bundle.revokedAll) return verdict
  return { ok: false, problem: { reason: 'KeysInvalid', message: 'its owner gave the identity up' } }
}

/** The bundle that came with the join, checked against the key that was pinned then; its time may have passed. */
export function introduceOnceMore({ bundle, rootKey, ownerId, clusterName }: PeerSpec): BundleVerdict {
  if (bundle === undefined || rootKey === undefined) {
    return { ok: false, problem: { reason: 'Malformed', message: 'no bundle came with the join' } }
  }
  const verdict = checkBundle(bundle, { pinnedKey: rootKey, clusterName, now: 0, ignoreExpiry: true })
  if (!verdict.ok || verdict.bundle.ownerId === ownerId) return verdict
  return { ok: false, problem: { reason: 'WrongCluster', message: `it is of owner ${verdict.bundle.ownerId}` } }
}
