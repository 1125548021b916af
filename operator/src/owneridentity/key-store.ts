import { isAlreadyExists } from '../kube/api-error.ts'
import { type Secret, secrets } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Live } from '../kube/resource.ts'
import { HansaError } from '../process/errors.ts'

/** Texts of all Identities by name, as one version of them was read. */
export type StoredTexts = {
  get(identityName: string): string | undefined
  /** Writes one of them; fails (Conflict) when anything was written since this version was read, so nobody overwrites a key unseen. */
  replace(identityName: string, text: string, signal: AbortSignal): Promise<void>
}

/** Where the keys of Identities lie. */
export type KeyStore = { read(signal: AbortSignal): Promise<StoredTexts> }

/** The Secret that keeps them, in the release namespace. */
export const secretName = 'hansa-identities'

// A Secret may have 1 MiB; what is not there when it is full would be lost.
const maxBytes = 900_000

/** Keeps the keys in the Secret `hansa-identities`, one data key `<name>.json` an Identity. */
export function secretKeyStore({ client, namespace }: { client: KubeClient; namespace: string }): KeyStore {
  const ref = { namespace, name: secretName }

  async function replace(stored: Live<Secret> | undefined, name: string, text: string, signal: AbortSignal) {
    const data = { ...stored?.data, [`${name}.json`]: Buffer.from(text).toString('base64') }
    if (Object.values(data).reduce((sum, { length }) => sum + length, 0) > maxBytes) {
      throw new HansaError('KeysTooLarge', `Secret ${namespace}/${secretName} has no room for Identity ${name}`, {
        retry: 'after',
        afterSeconds: 300,
        hint: 'take out the entries of Identities that are gone',
      })
    }
    const options = { signal, fieldManager: 'hansa-operator' }
    if (stored !== undefined) {
      await client.replace(secrets, { ...stored, data }, options)
      return
    }
    const labels = { 'app.kubernetes.io/name': 'hansa', 'app.kubernetes.io/managed-by': 'hansa-operator' }
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { ...ref, labels }, type: 'Opaque', data }
    try {
      await client.create(secrets, secret, options)
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      throw new HansaError('Conflict', `Secret ${namespace}/${secretName} was made by another operator just now`, {
        retry: 'after',
        afterSeconds: 1,
        cause: error,
      })
    }
  }

  return {
    async read(signal) {
      const stored = await client.get(secrets, ref, { signal })
      return {
        get(name) {
          const value = stored?.data?.[`${name}.json`]
          return value === undefined ? undefined : Buffer.from(value, 'base64').toString()
        },
        replace: (name, text, stop) => replace(stored, name, text, stop),
      }
    },
  }
}
