import type { Logger } from '../process/log.ts'
import type { Authority } from './authority.ts'
import type { Identity } from './identity.ts'
import { issueCredentials } from './memory-identity.ts'
import { type Held, renewalTime, renewingIdentity } from './renewing-identity.ts'

/** The identity of a process that holds the authority itself (the operator): renewed like any other, without a network. */
export async function localIdentity(
  authority: Authority,
  uri: string,
  deps: { log: Logger; signal: AbortSignal; dnsNames?: readonly string[]; seconds?: number },
): Promise<Identity> {
  const seconds = deps.seconds ?? 72 * 3600
  const obtain = async (): Promise<Held> => {
    const credentials = await issueCredentials(authority, uri, { dnsNames: deps.dnsNames ?? [], seconds })
    const now = Date.now()
    const notAfter = now + seconds * 1000
    return { ...credentials, notAfter, renewAt: renewalTime(now, notAfter) }
  }
  return renewingIdentity({ log: deps.log, signal: deps.signal, uri, first: await obtain(), obtain })
}
