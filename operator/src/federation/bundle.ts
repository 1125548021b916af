import { createHash } from 'node:crypto'
import { parseCanonicalJson } from './canonical-json.ts'
import { problemOfAuthority } from './certificate.ts'
import { clockSkewMilliseconds, parseDateTime } from './date-time.ts'
import { isEnvelopeBy, readEnvelope, signEnvelope } from './dsse.ts'
import { type Bundle, bundleSchema, messageKinds } from './messages.ts'
import { keyIdOf, readPublicKey } from './public-key.ts'
import { createRecent } from './recent.ts'
import { rootKeyChain } from './rotation.ts'
import type { Signer } from './signer.ts'
import { trustDomainOfKey } from './trust-domain.ts'

export type BundleProblem = {
  reason:
    | 'Malformed'
    | 'SignatureInvalid'
    | 'RotationInvalid'
    | 'WrongKey'
    | 'WrongCluster'
    | 'KeysInvalid'
    | 'AuthorityInvalid'
    | 'NotYetValid'
    | 'Expired'
    | 'Rollback'
  message: string
}

/** `rootKeys` from the first, whose hash is the trust domain, to the one that signed. */
export type CheckedBundle = { bundle: Bundle; rootKeys: readonly string[]; payloadSha256: string }

export type BundleVerdict = ({ ok: true } & CheckedBundle) | { ok: false; problem: BundleProblem }

export type BundleExpectation = {
  /** A root key of the owner that a person vouched for; the chain of rotations must hold it. */
  pinnedKey: string
  /** The newest root key that was seen since; the chain must hold it too, not before the pinned one. */
  knownKey?: string | undefined
  clusterName?: string | undefined
  /** Smallest sequence that may come. */
  atLeastSequence?: number
  now: number
  /** For bundles that were taken before. */
  ignoreExpiry?: boolean
}

const { payloadType } = messageKinds.Bundle
const hex = /^[0-9a-f]{1,64}$/
/** Bundles that were read; each message of a peer asks for its peer's. */
const knownBundles = createRecent<BundleVerdict & { ok: true }>({ entries: 512, textLength: 32_768 })

/** Signs a bundle with the root key that it names. Throws RangeError when its form is not one that peers take. */
export async function signBundle(bundle: Bundle, root: Signer, signal: AbortSignal): Promise<string> {
  const { error } = bundleSchema.safeParse(bundle)
  if (error !== undefined) throw new RangeError(`the bundle has no valid form: ${error.issues[0]?.message}`)
  if (bundle.rootKey !== root.publicKey)
    throw new RangeError('the bundle names another root key than the one that signs')
  return signEnvelope(payloadType, bundle, root, signal)
}

/** Checks everything about a bundle: form, signature, the way from the pinned key to the signing one, keys, authorities, time. */
export function checkBundle(envelope: string, expected: BundleExpectation): BundleVerdict {
  const known = knownBundles.get(envelope)
  const verdict = known ?? readBundle(envelope)
  if (!verdict.ok) return verdict
  const problem = problemOfExpectation(verdict, expected)
  if (problem !== undefined) return refuse(...problem)
  // Only bundles of those whose key somebody vouched for are worth remembering.
  if (known === undefined) knownBundles.add(envelope, verdict)
  const late = problemOfTime(verdict.bundle, expected)
  return late === undefined ? verdict : refuse(...late)
}

/** What is right of a bundle by itself, whoever expects what: signatures, keys and authorities cost much, and stay as they are. */
function readBundle(envelope: string): BundleVerdict {
  const read = readEnvelope(envelope)
  if (read === undefined) return refuse('Malformed', 'it is not a DSSE envelope with one signature')
  if (read.payloadType !== payloadType) return refuse('Malformed', 'its payload is not a bundle')
  const { data: bundle } = bundleSchema.safeParse(parseCanonicalJson(read.payload)?.value)
  if (bundle === undefined) return refuse('Malformed', 'its payload has not the form of a bundle')
  if (readPublicKey(bundle.rootKey) === undefined) return refuse('Malformed', 'its root key does not decode')
  if (!isEnvelopeBy(bundle.rootKey, read)) return refuse('SignatureInvalid', 'its signature is not by its root key')
  const rootKeys = rootKeyChain(bundle.rotations, bundle.rootKey, bundle.trustDomain)
  if (rootKeys === undefined) return refuse('RotationInvalid', 'its rotations do not lead to its root key')
  if (trustDomainOfKey(rootKeys[0] ?? '') !== bundle.trustDomain) {
    return refuse('WrongKey', 'its trust domain is not that of its first root key')
  }
  const problem = problemOfKeys(bundle, rootKeys) ?? problemOfAuthorities(bundle)
  if (problem !== undefined) return refuse(...problem)
  return { ok: true, bundle, rootKeys, payloadSha256: createHash('sha256').update(read.payload).digest('hex') }
}

function problemOfExpectation({ rootKeys, bundle }: CheckedBundle, expected: BundleExpectation): Problem | undefined {
  const pinned = rootKeys.indexOf(expected.pinnedKey)
  if (pinned === -1) return ['WrongKey', 'no rotation leads from the pinned root key to its root key']
  if (expected.knownKey !== undefined && rootKeys.indexOf(expected.knownKey) < pinned) {
    return ['WrongKey', 'its root key does not follow the one that is known already']
  }
  if (expected.clusterName !== undefined && bundle.clusterName !== expected.clusterName) {
    return ['WrongCluster', `it is of cluster ${bundle.clusterName}, not ${expected.clusterName}`]
  }
  return undefined
}

function refuse(reason: BundleProblem['reason'], message: string): BundleVerdict & { ok: false } {
  return { ok: false, problem: { reason, message } }
}

type Problem = [reason: BundleProblem['reason'], message: string]

function problemOfKeys({ roleKeys, revoked }: Bundle, rootKeys: readonly string[]): Problem | undefined {
  if (!revoked.every((each) => hex.test(each))) return ['Malformed', 'what it revokes is not in lower-case hex']
  if (new Set(roleKeys.map(({ keyId }) => keyId)).size < roleKeys.length) return ['KeysInvalid', 'a key stands twice']
  for (const { keyId, publicKey, notAfter } of roleKeys) {
    if (parseDateTime(notAfter) === undefined) return ['Malformed', 'the end of a key is no time']
    if (rootKeys.includes(publicKey)) return ['KeysInvalid', 'a root key has a role']
    if (readPublicKey(publicKey) === undefined || keyIdOf(publicKey) !== keyId) {
      return ['KeysInvalid', `key ${keyId} is not what its id says`]
    }
  }
  return undefined
}

function problemOfAuthorities({ authorities, trustDomain }: Bundle): Problem | undefined {
  for (const pem of authorities) {
    const problem = problemOfAuthority(pem, trustDomain)
    if (problem !== undefined) return ['AuthorityInvalid', `an authority cannot be used: ${problem}`]
  }
  return undefined
}

function problemOfTime(bundle: Bundle, expected: BundleExpectation): Problem | undefined {
  const issued = parseDateTime(bundle.issued)
  const notAfter = parseDateTime(bundle.notAfter)
  if (issued === undefined || notAfter === undefined || notAfter <= issued) {
    return ['Malformed', 'its times are no times, or end before they begin']
  }
  // That an owner gave itself up stays true, whenever it is heard and whatever was said later.
  if (bundle.revokedAll) return undefined
  if (bundle.sequence < (expected.atLeastSequence ?? 0)) {
    return ['Rollback', `its sequence ${bundle.sequence} is below ${expected.atLeastSequence}, which is known`]
  }
  if (expected.ignoreExpiry === true) return undefined
  if (issued > expected.now + clockSkewMilliseconds) return ['NotYetValid', `it was issued at ${bundle.issued}`]
  if (notAfter <= expected.now) return ['Expired', `it expired at ${bundle.notAfter}`]
  return undefined
}
