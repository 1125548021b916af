import type { OwnerIdentity } from '../api/identity.ts'
import { type OwnerProcess, ownerUri } from '../federation/certificate.ts'
import { loadAuthority } from '../identity/authority.ts'
import type { OwnerCertificate, OwnerCertificateIssuer, Reviewed } from '../identity/endpoint.ts'
import { Refusal } from '../identity/refusal.ts'
import type { Clock } from '../kube/clock.ts'
import { messageOf } from '../process/errors.ts'
import { parseKeys, trustDomainOf } from './identity-keys.ts'
import type { KeyStore } from './key-store.ts'
import { signing } from './renew-keys.ts'

/** Service accounts of the release namespace that speak to other owners. */
const processes: Readonly<Record<string, OwnerProcess>> = { 'hansa-link': 'link', 'hansa-gateway': 'gateway' }

/**
 * Issues certificates of Identities to link and gateway, by what the Secret and the Identity say at that moment: any replica of
 * the operator can, and none goes on with keys that were revoked.
 */
export function ownerCertificates(deps: {
  namespace: string
  readIdentity: (name: string, signal: AbortSignal) => Promise<OwnerIdentity | undefined>
  keyStore: KeyStore
  clock: Clock
}): OwnerCertificateIssuer {
  return async ({ identityName, requester, csrPem, signal }): Promise<OwnerCertificate> => {
    const process = processOf(requester, deps.namespace)
    const [identity, stored] = await Promise.all([deps.readIdentity(identityName, signal), deps.keyStore.read(signal)])
    if (identity === undefined) throw new Refusal(404, 'IdentityNotFound', `there is no Identity ${identityName}`)
    const text = stored.get(identityName)
    const keys = text === undefined ? undefined : parseKeys(text)
    const now = deps.clock.now()
    const authority = signing(keys?.authorities ?? [], now)
    if (keys?.bundle === undefined || authority === undefined) {
      throw new Refusal(503, 'IdentityNotReady', `Identity ${identityName} has no keys that can sign yet`, 1)
    }
    const { clusterName, certificateSeconds: seconds } = identity.spec
    const trustDomain = trustDomainOf(keys)
    const hint = 'restore the Secret hansa-identities from a backup'
    const clock = () => new Date(now)
    const { certPem: caPem, keyPem } = authority
    const loaded = await loadAuthority({ keyPem, certPem: caPem, trustDomain, clock, hint }).catch((error: unknown) => {
      throw new Refusal(503, 'KeysUnreadable', messageOf(error), 60)
    })
    const { certPem, notAfter } = await loaded.issue({
      csrPem,
      uri: ownerUri({ trustDomain, clusterName, process }),
      seconds,
    })
    const authorities = keys.authorities.map((each) => each.certPem)
    return { certificate: certPem, notAfter: notAfter.toISOString(), authorities }
  }
}

function processOf({ namespace, serviceAccount }: Reviewed, own: string): OwnerProcess {
  const process = Object.hasOwn(processes, serviceAccount) ? processes[serviceAccount] : undefined
  if (namespace === own && process !== undefined) return process
  const message = `${namespace}/${serviceAccount} does not speak to other owners; hansa-link and hansa-gateway do`
  throw new Refusal(403, 'AccountNotAllowed', message)
}
