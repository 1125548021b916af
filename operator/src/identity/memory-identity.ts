import type { Authority } from './authority.ts'
import type { Credentials, Identity } from './identity.ts'
import { certificateRequest } from './request.ts'

/** An identity straight from an authority, never renewed unless `renew` is called: for tests. */
export async function memoryIdentity(
  authority: Authority,
  uri: string,
  options: { dnsNames?: readonly string[]; seconds?: number } = {},
): Promise<Identity & { renew(): Promise<void> }> {
  const issue = () => issueCredentials(authority, uri, options)
  const listeners = new Set<() => void>()
  let credentials = await issue()
  return {
    uri,
    current: () => credentials,
    onRenewed: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => listeners.clear(),
    renew: async () => {
      credentials = await issue()
      for (const listener of listeners) listener()
    },
  }
}

/** A new key and a certificate for it from an authority in this process. */
export async function issueCredentials(
  authority: Authority,
  uri: string,
  options: { dnsNames?: readonly string[]; seconds?: number } = {},
): Promise<Credentials> {
  const { keyPem, csrPem } = await certificateRequest()
  const { certPem } = await authority.issue({
    csrPem,
    uri,
    dnsNames: options.dnsNames ?? [],
    seconds: options.seconds ?? 72 * 3600,
  })
  return { keyPem, certPem, caPem: authority.caPem }
}
