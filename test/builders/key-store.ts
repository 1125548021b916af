import type { IdentitySpec, IdentityStatus, OwnerIdentity } from '../../operator/src/api/identity.ts'
import { apiVersion } from '../../operator/src/api/resource.ts'
import type { KeyStore, StoredTexts } from '../../operator/src/owneridentity/key-store.ts'
import { HansaError } from '../../operator/src/process/errors.ts'

/** A key store without a Secret, that refuses a write based on an old version like one. */
export function memoryStore(): KeyStore & {
  read(): Promise<StoredTexts>
  text(name: string): string | undefined
  put(name: string, text: string | undefined): void
  writes: number
} {
  const texts = new Map<string, string>()
  const put = (name: string, text: string | undefined) => {
    store.writes++
    if (text === undefined) texts.delete(name)
    else texts.set(name, text)
  }
  const store = {
    writes: 0,
    text: (name: string) => texts.get(name),
    put,
    async read(): Promise<StoredTexts> {
      const version = store.writes
      const snapshot = new Map(texts)
      return {
        get: (name) => snapshot.get(name),
        async replace(name, text) {
          if (store.writes !== version) throw new HansaError('Conflict', 'written meanwhile')
          put(name, text)
        },
      }
    },
  }
  return store
}

/** An Identity `main` of the owner `clinic`. */
export function ownerIdentity(
  change: { spec?: Partial<IdentitySpec>; status?: IdentityStatus; annotations?: Record<string, string> } = {},
): OwnerIdentity {
  const { annotations, spec, status } = change
  return {
    apiVersion,
    kind: 'Identity',
    metadata: { name: 'main', generation: 1, ...(annotations !== undefined && { annotations }) },
    spec: {
      ownerId: 'clinic',
      clusterName: 'main',
      federation: 'default',
      certificateSeconds: 21_600,
      roleKeySeconds: 604_800,
      suspend: false,
      ...spec,
    },
    ...(status !== undefined && { status }),
  }
}
