import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { HansaError } from '../process/errors.ts'
import { algorithmOf, keyIdOf } from './public-key.ts'
import type { Signer } from './signer.ts'

const generate = promisify(generateKeyPair)

/** A signer with a key in memory, from PKCS #8 PEM. Throws SigningKeyInvalid unless it is an Ed25519 or P-256 key. */
export function keySigner(keyPem: string): Signer {
  const key = privateKey(keyPem)
  const algorithm = algorithmOf(key)
  if (algorithm === undefined) throw invalid(`it is of type ${key.asymmetricKeyType}, not Ed25519 or P-256`)
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
  return {
    publicKey,
    keyId: keyIdOf(publicKey),
    algorithm,
    sign: async (bytes, signal) => {
      signal.throwIfAborted()
      if (algorithm === 'Ed25519') return sign(null, bytes, key)
      return sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' })
    },
  }
}

/** A new Ed25519 key as PKCS #8 PEM. */
export async function newSigningKey(): Promise<string> {
  const { privateKey: key } = await generate('ed25519')
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function privateKey(keyPem: string): KeyObject {
  try {
    return createPrivateKey(keyPem)
  } catch {
    throw invalid('it does not decode') // the decoder's own words could quote the key
  }
}

function invalid(why: string): HansaError {
  return new HansaError('SigningKeyInvalid', `a signing key cannot be used: ${why}`, {
    retry: 'never',
    hint: 'restore the Secret hansa-identities from a backup',
  })
}
