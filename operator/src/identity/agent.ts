import { X509Certificate } from 'node:crypto'
import { HansaError } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { Identity } from './identity.ts'
import { type Held, obtainWithRetries, renewalTime, renewingIdentity } from './renewing-identity.ts'
import { certificateRequest } from './request.ts'
import { requestCertificate } from './request-certificate.ts'
import { certificateUri } from './san.ts'
import { authorityUri, parseSpiffe } from './spiffe.ts'
import { bundle, checkedCertificate, loadCredentials, storeCredentials } from './stored-credentials.ts'

/**
 * Gets this process its certificate and keeps it renewed. Resolves with the first one: at once from `stateDir` when a restart
 * finds an unexpired one there, else after asking until the authority answers. Renewal starts at a third of the lifetime; while
 * the authority is away the old certificate stays. Rejects only when `signal` aborts or the trust bundle is unusable.
 */
export async function startIdentity(deps: {
  caUrl: string
  caPem: string
  tokenFile: string
  stateDir: string
  log: Logger
  signal: AbortSignal
  dnsNames?: readonly string[]
}): Promise<Identity> {
  const { caUrl, caPem, tokenFile, stateDir, log, signal, dnsNames = [] } = deps
  const trustDomain = trustDomainOf(caPem)
  const authority = authorityUri(trustDomain)
  const stored = await loadCredentials(stateDir, { caPem, dnsNames, now: Date.now() })
  let uri = stored?.uri

  async function obtain(stop: AbortSignal): Promise<Held> {
    const { keyPem, csrPem } = await certificateRequest()
    const certPem = await requestCertificate({ caUrl, caPem, authority, tokenFile, csrPem, dnsNames, signal: stop })
    const given = checkedCertificate({ keyPem, certPem, caPem, dnsNames })
    if (parseSpiffe(given)?.trustDomain !== trustDomain || (uri !== undefined && uri !== given)) {
      throw new HansaError('CertificateNotOurs', `the authority gave a certificate for ${given}`)
    }
    await storeCredentials(stateDir, { keyPem, certPem })
    uri = given
    const now = Date.now()
    const notAfter = new X509Certificate(certPem).validToDate.getTime()
    return { keyPem, certPem, caPem, notAfter, renewAt: renewalTime(now, notAfter) }
  }

  const first = stored ?? (await obtainWithRetries({ obtain, log, signal }))
  if (uri === undefined) throw new HansaError('CertificateNotOurs', 'the authority gave no identity') // not reached: obtain sets it
  log.info({ uri, notAfter: new Date(first.notAfter).toISOString(), stored: stored !== undefined }, 'identity ready')
  return renewingIdentity({ uri, first, obtain, log, signal })
}

/** The trust domain that a trust bundle is for. Throws TrustBundleInvalid. */
export function trustDomainOf(caPem: string): string {
  const domains = new Set(certificates(caPem).map((ca) => certificateUri(ca.raw)?.replace(/^spiffe:\/\//, '')))
  const [domain] = domains
  if (domains.size === 1 && domain !== undefined) return domain
  throw unusable('it does not name exactly one trust domain')
}

function certificates(caPem: string): X509Certificate[] {
  try {
    return bundle(caPem)
  } catch (cause) {
    throw unusable('it does not decode', cause)
  }
}

function unusable(why: string, cause?: unknown): HansaError {
  return new HansaError('TrustBundleInvalid', `the trust bundle cannot be used: ${why}`, {
    retry: 'never',
    cause,
    hint: 'it is the ConfigMap hansa-trust (key ca.pem), which the operator writes',
  })
}
