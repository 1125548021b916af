import { X509Certificate } from 'node:crypto'
import type { IdentitySpec } from '../api/identity.ts'
import { serialOf } from '../federation/certificate.ts'
import { keySigner, newSigningKey } from '../federation/key-signer.ts'
import type { Role } from '../federation/messages.ts'
import { createAuthority } from '../identity/authority.ts'
import { type IdentityKeys, type StoredAuthority, type StoredRoleKey, trustDomainOf } from './identity-keys.ts'

/** Roles whose keys an Identity has. */
export const ownRoles = ['Request', 'Grant', 'Receipt'] as const satisfies readonly Role[]

// A bundle has room for 32 keys of all roles, those included that sign or will.
const retiredKeysARole = 8
const maxAuthorities = 4

/** Milliseconds that role keys and authorities live. Certificates end before the authority that made them does. */
export function lifetimes({ roleKeySeconds, certificateSeconds }: IdentitySpec): {
  roleKey: number
  authority: number
} {
  return { roleKey: roleKeySeconds * 1000, authority: Math.max(4 * roleKeySeconds, 8 * certificateSeconds) * 1000 }
}

/**
 * Keys as they must be at `now`: each next one is there after half of the life of the one before, and signs after three quarters,
 * so that peers know it by then. Keys that ended stay known, without their private half, to check what they signed. Returns the
 * very same object when nothing is due.
 */
export async function renewKeys(keys: IdentityKeys, spec: IdentitySpec, now: number): Promise<IdentityKeys> {
  const life = lifetimes(spec)
  const added: StoredRoleKey[] = []
  for (const role of keys.revokedAll ? [] : ownRoles) {
    const newest = keys.roleKeys.filter((key) => key.role === role).reduce<number>(latest, 0)
    if (newest - now <= life.roleKey / 2) added.push(await newRoleKey(role, turns(newest, life.roleKey, now)))
  }
  const roleKeys = withoutOldest([...keys.roleKeys, ...added].map((key) => (key.notAfter <= now ? retired(key) : key)))
  const authorities = keys.authorities.filter(({ notAfter }) => notAfter > now)
  const newest = authorities.reduce<number>(latest, 0)
  if (newest - now <= life.authority / 2) {
    const trustDomain = trustDomainOf(keys)
    authorities.push(await newAuthority(trustDomain, now, turns(newest, life.authority, now)))
  }
  const unchanged =
    added.length === 0 &&
    authorities.length === keys.authorities.length &&
    authorities.every((each, n) => each === keys.authorities[n]) &&
    roleKeys.length === keys.roleKeys.length &&
    roleKeys.every((each, n) => each === keys.roleKeys[n])
  return unchanged ? keys : { ...keys, roleKeys, authorities: authorities.slice(-maxAuthorities) }
}

/** When `renewKeys` has something to do next. */
export function nextRenewal(keys: IdentityKeys, spec: IdentitySpec): number {
  const life = lifetimes(spec)
  const roleTimes = ownRoles.map((role) => keys.roleKeys.filter((key) => key.role === role).reduce<number>(latest, 0))
  return Math.min(
    keys.authorities.reduce<number>(latest, 0) - life.authority / 2,
    ...(keys.revokedAll ? [] : roleTimes.map((time) => time - life.roleKey / 2)),
    ...keys.roleKeys.filter(({ keyPem }) => keyPem !== undefined).map(({ notAfter }) => notAfter),
    ...keys.authorities.map(({ notAfter }) => notAfter),
  )
}

/** Revokes every role key and authority that could still sign, so that `renewKeys` makes new ones that sign at once. */
export function revokeKeys(keys: IdentityKeys, now: number): IdentityKeys {
  const lost = [
    ...keys.roleKeys.filter(({ notAfter }) => notAfter > now).map(({ keyId }) => keyId),
    ...keys.authorities.map(({ certPem }) => serialOf(new X509Certificate(certPem))),
  ]
  return {
    ...keys,
    roleKeys: keys.roleKeys.filter(({ keyId }) => !lost.includes(keyId)),
    authorities: [],
    revoked: [...keys.revoked, ...lost].slice(-1024),
  }
}

/** The whole identity is given up: no role key signs any more. The root key stays, to say so again and again. */
export function revokeIdentity(keys: IdentityKeys): IdentityKeys {
  return { ...keys, revokedAll: true, roleKeys: keys.roleKeys.map(retired) }
}

/** The newest of those that may sign at `now`. */
export function signing<K extends { signFrom: number; notAfter: number }>(
  keys: readonly K[],
  now: number,
): K | undefined {
  return keys
    .filter(({ signFrom, notAfter }) => signFrom <= now && notAfter > now)
    .reduce<K | undefined>((best, key) => (best === undefined || key.signFrom >= best.signFrom ? key : best), undefined)
}

type Times = { signFrom: number; notAfter: number }

function turns(newest: number, life: number, now: number): Times {
  return { signFrom: Math.max(now, newest - life / 4), notAfter: now + life }
}

async function newRoleKey(role: Role, { signFrom, notAfter }: Times): Promise<StoredRoleKey> {
  const keyPem = await newSigningKey()
  const { publicKey, keyId } = keySigner(keyPem)
  return { role, publicKey, keyId, keyPem, signFrom, notAfter }
}

async function newAuthority(trustDomain: string, now: number, { signFrom, notAfter }: Times): Promise<StoredAuthority> {
  const made = await createAuthority({ trustDomain, clock: () => new Date(now), seconds: (notAfter - now) / 1000 })
  const { keyPem, certPem } = await made.toPem()
  return { certPem, keyPem, signFrom, notAfter }
}

function retired(key: StoredRoleKey): StoredRoleKey {
  if (key.keyPem === undefined) return key
  const { keyPem: _, ...rest } = key
  return rest
}

function withoutOldest(roleKeys: readonly StoredRoleKey[]): StoredRoleKey[] {
  return roleKeys.filter((key) => {
    const ended = roleKeys.filter(({ role, keyPem }) => role === key.role && keyPem === undefined)
    return key.keyPem !== undefined || ended.indexOf(key) >= ended.length - retiredKeysARole
  })
}

function latest(newest: number, { notAfter }: { notAfter: number }): number {
  return Math.max(newest, notAfter)
}
