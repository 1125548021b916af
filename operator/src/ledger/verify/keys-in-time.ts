import { checkBundle } from '../../federation/bundle.ts'
import { parseDateTime } from '../../federation/date-time.ts'
import { type Envelope, isEnvelopeBy } from '../../federation/dsse.ts'
import { type Bundle, bundleSchema, messageKinds } from '../../federation/messages.ts'
import { keyIdOf } from '../../federation/public-key.ts'
import { rootKeyChain } from '../../federation/rotation.ts'
import { openSigned } from './open-signed.ts'

export type Cluster = { trustDomain: string; clusterName: string }

type Known = {
  sequences: Map<number, string>
  chains: (readonly string[])[]
  /** Receipt keys by id, and until when they count. */
  keys: Map<string, { publicKey: string; until: number }>
  /** When a key was revoked; the whole identity under the name `*`. */
  revoked: Map<string, number>
}

/**
 * The role keys of clusters over time, from root-signed bundles alone: no bundle is believed because of where it came from. A trust domain
 * is the hash of its first root key, and each later root key must be signed by the one before.
 */
export class KeysInTime {
  readonly #clusters = new Map<string, Known>()

  /** What is wrong with a bundle; undefined once it is taken. */
  add(envelope: string): string | undefined {
    const opened = openSigned(envelope, messageKinds.Bundle.payloadType, bundleSchema)
    if (typeof opened === 'string') return `a bundle cannot be read: ${opened}`
    const { message: claimed } = opened
    if (opened.envelope.keyId !== keyIdOf(claimed.rootKey))
      return 'the bundle names another key than the one that signs'
    const [first] = rootKeyChain(claimed.rotations, claimed.rootKey, claimed.trustDomain) ?? []
    if (first === undefined) return 'the bundle has rotations that do not lead to its root key'
    const verdict = checkBundle(envelope, { pinnedKey: first, now: 0, ignoreExpiry: true })
    if (!verdict.ok) return `the bundle cannot be believed: ${verdict.problem.message}`
    return this.#take(verdict.bundle, verdict.rootKeys, verdict.payloadSha256)
  }

  has(cluster: Cluster): boolean {
    return this.#clusters.has(nameOf(cluster))
  }

  /** Why an envelope of a cluster, issued then, is not by a key Receipt that was valid then; undefined when it is. */
  problem(cluster: Cluster, envelope: Envelope, issued: number): string | undefined {
    const known = this.#clusters.get(nameOf(cluster))
    if (known === undefined) return `no bundle of ${nameOf(cluster)} is in the file`
    const key = known.keys.get(envelope.keyId)
    if (key === undefined) return `no bundle of ${nameOf(cluster)} names its key`
    if (!isEnvelopeBy(key.publicKey, envelope)) return 'its signature is not by its key'
    if (issued > key.until) return 'it was issued after the end of its key'
    const revoked = Math.min(
      known.revoked.get(envelope.keyId) ?? Number.POSITIVE_INFINITY,
      known.revoked.get('*') ?? Number.POSITIVE_INFINITY,
    )
    return issued >= revoked ? 'it was issued after its key was revoked' : undefined
  }

  #take(bundle: Bundle, rootKeys: readonly string[], payloadSha256: string): string | undefined {
    const name = nameOf(bundle)
    const fresh: Known = { sequences: new Map(), chains: [], keys: new Map(), revoked: new Map() }
    const known = this.#clusters.get(name) ?? fresh
    const other = known.sequences.get(bundle.sequence)
    if (other !== undefined && other !== payloadSha256)
      return `${name} signed two bundles of sequence ${bundle.sequence}`
    if (!known.chains.every((chain) => isPrefix(chain, rootKeys) || isPrefix(rootKeys, chain))) {
      return `the root key of ${name} was rotated in two ways`
    }
    this.#clusters.set(name, known)
    known.sequences.set(bundle.sequence, payloadSha256)
    known.chains.push(rootKeys)
    const issued = parseDateTime(bundle.issued) ?? Number.POSITIVE_INFINITY
    for (const { role, keyId, publicKey, notAfter } of bundle.roleKeys) {
      if (role !== 'Receipt') continue
      const before = known.keys.get(keyId)
      const until = parseDateTime(notAfter) ?? 0
      known.keys.set(keyId, {
        publicKey,
        until: Math.max(until, before?.until ?? until),
      })
    }
    for (const each of bundle.revokedAll ? ['*', ...bundle.revoked] : bundle.revoked) {
      known.revoked.set(each, Math.min(issued, known.revoked.get(each) ?? issued))
    }
    return undefined
  }
}

const isPrefix = (short: readonly string[], long: readonly string[]) => short.every((key, index) => long[index] === key)

export const nameOf = ({ trustDomain, clusterName }: Cluster) => `${trustDomain}/${clusterName}`
