import { z } from 'zod'
import { ownerId, publicKey } from '../api/owner-scalars.ts'
import { dnsLabel } from '../api/scalar.ts'
import { roles } from '../federation/messages.ts'
import { claimedOldKey, rootKeyChain } from '../federation/rotation.ts'
import { trustDomainOfKey } from '../federation/trust-domain.ts'
import { HansaError } from '../process/errors.ts'

/** Milliseconds since 1970. */
const time = z.int().min(0)
const pem = z.string().max(8192)
const orderValue = z.string().max(64)

/** The root key: in the Secret as PKCS #8 PEM, or elsewhere under a handle that the root keys in use understand. */
const storedRootSchema = z.strictObject({ publicKey, keyPem: pem.optional(), handle: z.string().max(1024).optional() })

const authoritySchema = z.strictObject({ certPem: pem, keyPem: pem, signFrom: time, notAfter: time })

const roleKeySchema = z.strictObject({
  role: z.enum(roles),
  publicKey,
  keyId: z.string().max(32),
  /** Taken away when the key has ended. */
  keyPem: pem.optional(),
  /** Peers know the key some time before it signs. */
  signFrom: time,
  notAfter: time,
})

/**
 * All keys of one Identity, as the Secret `hansa-identities` keeps them. An entry of `version`, `root` and `rotations` alone, as
 * it is copied to another cluster of the same owner, is completed.
 */
export const identityKeysSchema = z.strictObject({
  version: z.literal(1),
  /** For whom the keys were made; an Identity of the same name for somebody else does not get them. */
  owner: z.strictObject({ ownerId, clusterName: dnsLabel, federation: dnsLabel }).optional(),
  root: storedRootSchema,
  /** Signed by each root key for the next. */
  rotations: z.array(z.string().max(8192)).max(8).default([]),
  authorities: z.array(authoritySchema).max(4).default([]),
  roleKeys: z.array(roleKeySchema).max(32).default([]),
  revoked: z.array(z.string().max(64)).max(1024).default([]),
  revokedAll: z.boolean().default(false),
  /** Values of the annotations that were carried out. */
  orders: z
    .strictObject({
      rotateRoot: orderValue.optional(),
      revokeKeys: orderValue.optional(),
      revokeIdentity: orderValue.optional(),
    })
    .default({}),
  bundle: z
    .strictObject({ sequence: time, issued: time, notAfter: time, envelope: z.string().max(262_144) })
    .optional(),
})

export type IdentityKeys = z.infer<typeof identityKeysSchema>
export type StoredRoot = z.infer<typeof storedRootSchema>
export type StoredAuthority = z.infer<typeof authoritySchema>
export type StoredRoleKey = z.infer<typeof roleKeySchema>

/** The keys of an entry. Throws KeysUnreadable, without a word of them. */
export function parseKeys(text: string): IdentityKeys {
  const parsed = identityKeysSchema.safeParse(json(text))
  if (!parsed.success) throw unreadable(`its entry is wrong at ${parsed.error.issues[0]?.path.join('.') ?? 'its root'}`)
  const { root, rotations } = parsed.data
  // Throws when the rotations do not lead to the root key.
  trustDomainOf({ root, rotations })
  return parsed.data
}

/** The trust domain: of the first root key. Throws KeysUnreadable when no rotations lead from it to the present one. */
export function trustDomainOf({ root, rotations }: Pick<IdentityKeys, 'root' | 'rotations'>): string {
  const [first] = rotations
  const firstKey = first === undefined ? root.publicKey : claimedOldKey(first)
  const trustDomain = trustDomainOfKey(firstKey ?? '')
  if (rootKeyChain(rotations, root.publicKey, trustDomain) !== undefined) return trustDomain
  throw unreadable('its rotations do not lead to its root key')
}

/** Says why the keys of an Identity are of no use. */
export function unreadable(why: string): HansaError {
  return new HansaError('KeysUnreadable', `the keys of the Identity cannot be used: ${why}`, {
    retry: 'after',
    afterSeconds: 60,
    hint: 'restore the Secret hansa-identities from a backup',
  })
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the parser's own words could quote a key
  }
}
