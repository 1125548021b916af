import { webcrypto } from 'node:crypto'
import { PemConverter } from './x509.ts'

export const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
export const signatureAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

/** A new P-256 key pair. */
export function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
}

/** The private key as PKCS #8 PEM. */
export async function privateKeyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`
}
