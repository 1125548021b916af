import { X509Certificate } from 'node:crypto'
import type { OwnerIdentity } from '../api/identity.ts'
import type { OwnerCredentials } from '../federation/owner-credentials.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import type { Clock } from '../kube/clock.ts'
import type { Store } from '../kube/store.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { OwnCertificate, OwnCertificates } from './own-certificates.ts'

type Kept = { stop: AbortController; certificate?: OwnCertificate; credentials?: OwnerCredentials }

/** Gets a certificate for each Identity that has a bundle, and keeps them renewed. */
export function followOwnerCertificates(
  deps: {
    identities: Store<OwnerIdentity>
    start: (identityName: string, signal: AbortSignal) => Promise<OwnerCredentials>
    clock: Clock
    log: Logger
  },
  signal: AbortSignal,
): OwnCertificates & { close(): Promise<void> } {
  const { identities, clock, log } = deps
  const kept = new Map<string, Kept>()
  const listeners = new Set<(identityName: string) => void>()

  function follow(name: string): void {
    const identity = identities.get({ name })
    const known = kept.get(name)
    if (identity?.status?.bundle === undefined) {
      if (known === undefined || identity !== undefined) return
      kept.delete(name)
      known.stop.abort()
      void known.credentials?.close()
    } else if (known === undefined) begin(name)
    else {
      const own = bundleOfIdentity(identity, { now: clock.now() })
      if (own.ok) known.credentials?.follow(own.bundle)
    }
  }

  function begin(name: string): void {
    const entry: Kept = { stop: new AbortController() }
    kept.set(name, entry)
    deps.start(name, AbortSignal.any([signal, entry.stop.signal])).then(
      (credentials) => {
        if (entry.stop.signal.aborted) return void credentials.close()
        entry.credentials = credentials
        const renewed = () => {
          const { keyPem, certPem } = credentials.current()
          entry.certificate = { keyPem, certPem, notAfter: new X509Certificate(certPem).validToDate.getTime() }
          for (const listener of listeners) listener(name)
        }
        credentials.onRenewed(renewed)
        renewed()
        follow(name)
      },
      (error: unknown) => {
        if (kept.get(name) === entry) kept.delete(name)
        if (!signal.aborted) log.error({ kind: 'Identity', name, error: messageOf(error) }, 'no certificate can be had')
      },
    )
  }

  const unsubscribe = identities.subscribe(({ key }) => follow(key))
  for (const { metadata } of identities.list()) follow(metadata.name)
  return {
    of: (name) => kept.get(name)?.certificate,
    onRenewed(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      unsubscribe()
      const all = [...kept.values()]
      for (const { stop } of all) stop.abort()
      await Promise.all(all.map(({ credentials }) => credentials?.close()))
    },
  }
}
