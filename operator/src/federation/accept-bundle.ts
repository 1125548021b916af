import type { Peer } from '../api/peer.ts'
import { type BundleProblem, type CheckedBundle, checkBundle } from './bundle.ts'

export type AcceptedBundle = CheckedBundle & { envelope: string }

export type Acceptance = {
  /** The bundle to go by; its `notAfter` may have passed when nothing newer came. Undefined: none is known. */
  accepted: AcceptedBundle | undefined
  /** What was not taken, and where it came from: `spec.bundle`, or the replica of our link that brought it. */
  refused: { from: string; problem: BundleProblem }[]
}

/**
 * The newest bundle of a peer among the one in use, the one of the join and those that links brought. Each must lead back to the
 * pinned key and forward from the key in use; the sequence never goes back; the end of the whole identity is final.
 */
export function acceptBundle(peer: Peer, now: number): Acceptance {
  const { spec, status } = peer
  const pinnedKey = spec.rootKey
  if (pinnedKey === undefined) return { accepted: undefined, refused: [] }
  const { clusterName } = spec
  const refused: Acceptance['refused'] = []
  let accepted: AcceptedBundle | undefined

  const look = (from: string, envelope: string, old: { ignoreExpiry?: boolean } = {}) => {
    if (envelope === accepted?.envelope || accepted?.bundle.revokedAll === true) return
    const verdict = checkBundle(envelope, {
      pinnedKey,
      knownKey: accepted?.rootKeys.at(-1) ?? status?.rootKey,
      clusterName,
      atLeastSequence: accepted?.bundle.sequence ?? 0,
      now,
      ...old,
    })
    if (!verdict.ok) {
      // That of the join gets old in the course of things.
      if (from === 'spec.bundle' && accepted !== undefined) return
      refused.push({ from, problem: verdict.problem })
      return
    }
    const { bundle, rootKeys, payloadSha256 } = verdict
    const says = accepted?.payloadSha256
    if (!bundle.revokedAll && says !== undefined && bundle.sequence === accepted?.bundle.sequence) {
      if (says === payloadSha256) return
      const message = `it says something else under the sequence ${bundle.sequence}, which is known`
      refused.push({ from, problem: { reason: 'Rollback', message } })
      return
    }
    accepted = { envelope, bundle, rootKeys, payloadSha256 }
  }

  if (status?.bundle !== undefined) look('status.bundle', status.bundle.envelope, { ignoreExpiry: true })
  if (spec.bundle !== undefined) look('spec.bundle', spec.bundle)
  for (const { replica, bundle } of status?.links ?? []) if (bundle !== undefined) look(replica, bundle)
  return { accepted, refused }
}
