import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import type { Signer } from './signer.ts'

export type ReadKey = { algorithm: Signer['algorithm']; key: KeyObject }

const maxCharacters = 256

/**
 * An Ed25519 or P-256 public key from its one encoding (SubjectPublicKeyInfo in DER, base64); undefined for anything else.
 * A second encoding of the same key would be a second name of it, so none is taken.
 */
export function readPublicKey(publicKey: string): ReadKey | undefined {
  if (publicKey.length > maxCharacters) return undefined
  const der = Buffer.from(publicKey, 'base64')
  if (der.toString('base64') !== publicKey) return undefined
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    if (!key.export({ format: 'der', type: 'spki' }).equals(der)) return undefined
    const algorithm = algorithmOf(key)
    return algorithm === undefined ? undefined : { algorithm, key }
  } catch {
    return undefined // does not decode: no key
  }
}

/** What we sign with, if we sign with keys of that type at all. */
export function algorithmOf(key: KeyObject): Signer['algorithm'] | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519'
  const curve = key.asymmetricKeyDetails?.namedCurve
  return key.asymmetricKeyType === 'ec' && curve === 'prime256v1' ? 'P-256' : undefined
}

/** Id of a key: SHA-256 of its DER, hex, first 32 digits. */
export function keyIdOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, 32)
}

/** Whether `signature` (64 bytes; P-256 in IEEE P1363 form) is by that key over `bytes`. */
export function isSignedBy(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const read = readPublicKey(publicKey)
  if (read === undefined || signature.length !== 64) return false
  const { algorithm, key } = read
  if (algorithm === 'Ed25519') return verify(null, bytes, key, signature)
  return verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
}
