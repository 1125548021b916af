import { createPrivateKey, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { trustDomainOf } from '../identity/agent.ts'
import type { Identity } from '../identity/identity.ts'
import { type Held, obtainWithRetries, renewalTime, renewingIdentity } from '../identity/renewing-identity.ts'
import { certificateRequest } from '../identity/request.ts'
import { requestOwnerCertificate } from '../identity/request-certificate.ts'
import { certificateUri } from '../identity/san.ts'
import { authorityUri } from '../identity/spiffe.ts'
import { HansaError } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { readStateFile, writeStateFile } from '../process/state-file.ts'
import { judgeCertificate, parseOwnerUri } from './certificate.ts'
import type { Bundle } from './messages.ts'

/** Credentials by which other owners know this process. `current().caPem` holds the authorities of our own Identity. */
export type OwnerCredentials = Identity & {
  /** Renews at once when our bundle does not know the certificate any more, as after a revocation. */
  follow(ownBundle: Bundle): void
}

/**
 * Gets link or gateway its certificate of one Identity and keeps it renewed, from a third of its lifetime on. Resolves at once
 * from `stateDir` when a restart finds an unexpired one, else after asking until the operator answers; while it is away the old
 * one stays. Rejects only when `signal` aborts or the trust bundle is unusable.
 */
export async function startOwnerCredentials(deps: {
  identityName: string
  caUrl: string
  /** Trust bundle of our own cluster, to know the operator by. */
  caPem: string
  tokenFile: string
  stateDir: string
  log: Logger
  signal: AbortSignal
}): Promise<OwnerCredentials> {
  const { identityName, stateDir, signal } = deps
  const log = deps.log.child({ identity: identityName })
  const authority = authorityUri(trustDomainOf(deps.caPem))
  const file = join(stateDir, `owner-${identityName}.pem`)
  const stored = await load(file, Date.now())
  let uri = stored?.uri

  async function obtain(stop: AbortSignal): Promise<Held> {
    const { keyPem, csrPem } = await certificateRequest()
    const { certificate, authorities } = await requestOwnerCertificate({ ...deps, authority, csrPem, signal: stop })
    const made = checked({ keyPem, certPem: certificate, caPem: authorities.join('') })
    if (uri !== undefined && made.uri !== uri) {
      throw new HansaError(
        'CertificateNotOurs',
        `Identity ${identityName} gave a certificate for ${made.uri}, not ${uri}`,
      )
    }
    await writeStateFile(file, made.keyPem + made.certPem + made.caPem)
    uri = made.uri
    return { ...made, renewAt: renewalTime(Date.now(), made.notAfter) }
  }

  const first = stored ?? (await obtainWithRetries({ obtain, log, signal }))
  if (uri === undefined) throw new HansaError('CertificateNotOurs', 'the operator gave no identity') // not reached: obtain sets it
  log.info({ uri, notAfter: new Date(first.notAfter).toISOString(), stored: stored !== undefined }, 'identity ready')
  const renewing = renewingIdentity({ uri, first, obtain, log, signal })
  return {
    ...renewing,
    follow(ownBundle) {
      const { raw } = new X509Certificate(renewing.current().certPem)
      const verdict = judgeCertificate(raw, ownBundle, Date.now())
      if (verdict.ok || verdict.reason === 'WrongName') return
      log.warn({ reason: verdict.reason }, 'our bundle does not know our certificate any more; asking for another')
      renewing.renew()
    },
  }
}

type Checked = { uri: string; keyPem: string; certPem: string; caPem: string; notAfter: number }

/** What belongs together and names link or gateway. Throws saying what does not. */
function checked({ keyPem, certPem, caPem }: { keyPem: string; certPem: string; caPem: string }): Checked {
  const certificate = new X509Certificate(certPem)
  const uri = certificateUri(certificate.raw)
  const trustDomain = uri === undefined ? undefined : parseOwnerUri(uri)?.trustDomain
  if (uri === undefined || trustDomain === undefined || trustDomain !== trustDomainOf(caPem)) {
    throw new HansaError(
      'CertificateNotOurs',
      'the operator gave a certificate that names no link or gateway of its Identity',
    )
  }
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) {
    throw new HansaError('CertificateNotOurs', 'the operator gave a certificate for another key')
  }
  const authorities = blocksOf(caPem).map((pem) => new X509Certificate(pem))
  if (!authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey))) {
    throw new HansaError('CertificateNotOurs', 'the operator gave a certificate of an authority that the bundle lacks')
  }
  return { uri, keyPem, certPem, caPem, notAfter: certificate.validToDate.getTime() }
}

function blocksOf(pem: string): string[] {
  return pem.match(/-----BEGIN ([A-Z ]+)-----[A-Za-z0-9+/=\s]+?-----END \1-----\n?/g) ?? []
}

async function load(file: string, now: number): Promise<(Checked & Held) | undefined> {
  const [keyPem, certPem, ...authorities] = blocksOf((await readStateFile(file, { maxBytes: 64 * 1024 })) ?? '')
  if (keyPem === undefined || certPem === undefined) return undefined
  try {
    const found = checked({ keyPem, certPem, caPem: authorities.join('') })
    const from = new X509Certificate(certPem).validFromDate.getTime()
    if (found.notAfter <= now || from > now) return undefined
    return { ...found, renewAt: renewalTime(from, found.notAfter) }
  } catch {
    return undefined // written by another version: a new one is asked for
  }
}
