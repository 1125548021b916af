import { keySigner, newSigningKey } from '../federation/key-signer.ts'
import type { Signer } from '../federation/signer.ts'
import { HansaError } from '../process/errors.ts'
import type { StoredRoot } from './identity-keys.ts'

/** Makes root keys and signs with them: in this process, or by a device that never gives them away. */
export type RootKeys = {
  make(signal: AbortSignal): Promise<StoredRoot>
  /** The signer of a key that `make` made. Throws when it is not known here. */
  open(root: StoredRoot): Signer
}

/** Root keys (Ed25519) that lie in the Secret beside all else. */
export const secretRootKeys: RootKeys = {
  async make() {
    const keyPem = await newSigningKey()
    return { publicKey: keySigner(keyPem).publicKey, keyPem }
  },
  open({ publicKey, keyPem }) {
    if (keyPem === undefined) throw unknownRoot('it is kept by a device that this operator was not started with')
    const signer = keySigner(keyPem)
    if (signer.publicKey === publicKey) return signer
    throw unknownRoot('its two halves do not belong together')
  },
}

function unknownRoot(why: string): HansaError {
  return new HansaError('KeysUnreadable', `the root key cannot be used: ${why}`, {
    retry: 'after',
    afterSeconds: 60,
    hint: 'restore the Secret hansa-identities from a backup',
  })
}
