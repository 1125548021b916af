import type { IdentitySpec } from '../api/identity.ts'
import { checkBundle, signBundle } from '../federation/bundle.ts'
import { canonicalJson } from '../federation/canonical-json.ts'
import { dateTimeOf } from '../federation/date-time.ts'
import type { Bundle } from '../federation/messages.ts'
import type { Signer } from '../federation/signer.ts'
import { type IdentityKeys, trustDomainOf } from './identity-keys.ts'

/** A bundle is signed anew before half of its life: peers that are away for less than the other half never lose sight of us. */
const renewedAfter = 0.45

/** Milliseconds that a bundle is valid: as long as role keys live. */
function lifetime({ roleKeySeconds }: IdentitySpec): number {
  return roleKeySeconds * 1000
}

/** When the present bundle is to be signed anew even if nothing changes. */
export function bundleDue({ bundle }: IdentityKeys): number {
  return bundle === undefined ? 0 : bundle.issued + (bundle.notAfter - bundle.issued) * renewedAfter
}

/** Keys with a bundle that says what is true at `now`; the very same object when the present one does. */
export async function publishBundle(
  keys: IdentityKeys,
  spec: IdentitySpec,
  deps: { now: number; openRoot: () => Signer; signal: AbortSignal },
): Promise<IdentityKeys> {
  const { now, openRoot, signal } = deps
  const said = presentBundle(keys)
  if (said !== undefined && now < bundleDue(keys) && sameContent(said, contentOf(keys, spec))) return keys
  const notAfter = now + lifetime(spec)
  // The time as least sequence: also after a restore of an older state a new bundle counts as newer for those who saw a later one.
  const sequence = Math.max((keys.bundle?.sequence ?? 0) + 1, now)
  const bundle = { ...contentOf(keys, spec), sequence, issued: dateTimeOf(now), notAfter: dateTimeOf(notAfter) }
  const envelope = await signBundle(bundle, openRoot(), signal)
  return { ...keys, bundle: { sequence, issued: now, notAfter, envelope } }
}

/** The bundle that was signed last, if it is one of these keys. */
export function presentBundle({ bundle, root }: IdentityKeys): Bundle | undefined {
  if (bundle === undefined) return undefined
  const verdict = checkBundle(bundle.envelope, { pinnedKey: root.publicKey, now: bundle.issued, ignoreExpiry: true })
  return verdict.ok ? verdict.bundle : undefined
}

type Content = Omit<Bundle, 'sequence' | 'issued' | 'notAfter'>

function contentOf(keys: IdentityKeys, spec: IdentitySpec): Content {
  const { ownerId, clusterName, contact, address, dataAddress } = spec
  return {
    version: 1,
    ownerId,
    clusterName,
    trustDomain: trustDomainOf(keys),
    rootKey: keys.root.publicKey,
    rotations: keys.rotations,
    authorities: keys.authorities.map(({ certPem }) => certPem),
    roleKeys: keys.roleKeys.map(({ role, keyId, publicKey, notAfter }) => ({
      role,
      keyId,
      publicKey,
      notAfter: dateTimeOf(notAfter),
    })),
    revoked: keys.revoked,
    revokedAll: keys.revokedAll,
    ...(contact !== undefined && { contact }),
    ...(address !== undefined && { address }),
    ...(dataAddress !== undefined && { dataAddress }),
  }
}

function sameContent({ sequence: _s, issued: _i, notAfter: _n, ...said }: Bundle, content: Content): boolean {
  return canonicalJson(said) === canonicalJson(content)
}
