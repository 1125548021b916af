import { HansaError } from '../process/errors.ts'

const trustDomainPattern = /^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$/
const namePattern = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

/** The URI of a service account: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export function spiffe(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `${trustDomainUri(trustDomain)}/ns/${checked(namespace)}/sa/${checked(serviceAccount)}`
}

/** The URI that only the certificate endpoint itself carries; no service account can be given it. */
export function authorityUri(trustDomain: string): string {
  return `${trustDomainUri(trustDomain)}/authority`
}

/** The URI of the trust domain, carried by the authority's own certificate (SPIFFE X.509-SVID, section 3). */
export function trustDomainUri(trustDomain: string): string {
  if (!trustDomainPattern.test(trustDomain)) {
    throw new HansaError('InvalidTrustDomain', `trust domain ${JSON.stringify(trustDomain)} is not a lower-case name`, {
      retry: 'never',
      hint: 'use lower-case letters, digits, dots and dashes, for example cluster.hansa',
    })
  }
  return `spiffe://${trustDomain}`
}

export type SpiffeParts = { trustDomain: string; namespace: string; serviceAccount: string }

/** The parts of a service account's URI; undefined for any other text. */
export function parseSpiffe(uri: string): SpiffeParts | undefined {
  const match = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(uri)
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = match ?? []
  if (!trustDomainPattern.test(trustDomain) || !namePattern.test(namespace) || !namePattern.test(serviceAccount)) {
    return undefined
  }
  return { trustDomain, namespace, serviceAccount }
}

function checked(name: string): string {
  if (namePattern.test(name)) return name
  throw new HansaError('InvalidName', `${JSON.stringify(name)} is not a Kubernetes name`, { retry: 'never' })
}
