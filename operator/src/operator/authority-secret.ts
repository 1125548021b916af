import { type Authority, createAuthority, loadAuthority } from '../identity/authority.ts'
import { isAlreadyExists } from '../kube/api-error.ts'
import { configMaps, secrets } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { HansaError } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'

const secretName = 'hansa-ca'
const trustName = 'hansa-trust'
const labels = { 'app.kubernetes.io/name': 'hansa', 'app.kubernetes.io/managed-by': 'hansa-operator' }

type Deps = { client: KubeClient; namespace: string; trustDomain: string; log: Logger; signal: AbortSignal }

/** The cluster's authority: from the Secret `hansa-ca`, or a new one that the first operator to start writes there. */
export async function authorityFromSecret(deps: Deps): Promise<Authority> {
  const { client, namespace, trustDomain, log, signal } = deps
  const ref = { namespace, name: secretName }
  const stored = await client.get(secrets, ref, { signal })
  if (stored !== undefined) return loadAuthority({ trustDomain, ...pemsOf(stored.data) })
  const authority = await createAuthority({ trustDomain })
  const { keyPem, certPem } = await authority.toPem()
  try {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...ref, labels },
      type: 'kubernetes.io/tls',
      data: { 'tls.key': base64(keyPem), 'tls.crt': base64(certPem) },
    }
    await client.create(secrets, secret, { signal, fieldManager: 'hansa-operator' })
    log.info({ kind: 'Secret', namespace, name: secretName }, 'made the certificate authority')
    return authority
  } catch (error) {
    // Another operator was first, or our own reply got lost: what is stored counts.
    if (!isAlreadyExists(error)) throw error
    const winner = await client.get(secrets, ref, { signal })
    return loadAuthority({ trustDomain, ...pemsOf(winner?.data) })
  }
}

/** Publishes the trust bundle in the ConfigMap `hansa-trust`, which gateway and fetch mount. */
export async function publishTrust({ client, namespace, signal }: Deps, authority: Authority): Promise<void> {
  const ref = { namespace, name: trustName }
  const live = await client.get(configMaps, ref, { signal })
  if (live?.data?.['ca.pem'] === authority.caPem) return
  await client.apply(
    configMaps,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...ref, labels }, data: { 'ca.pem': authority.caPem } },
    { signal, fieldManager: 'hansa-operator' },
  )
}

function pemsOf(data: Record<string, string> | undefined): { keyPem: string; certPem: string } {
  const key = data?.['tls.key']
  const cert = data?.['tls.crt']
  if (key === undefined || cert === undefined) {
    throw new HansaError('AuthorityInvalid', `Secret ${secretName} has no tls.key and tls.crt`, {
      retry: 'never',
      hint: 'restore the Secret from a backup, or delete it and restart the operator and then every Hansa pod',
    })
  }
  return { keyPem: Buffer.from(key, 'base64').toString(), certPem: Buffer.from(cert, 'base64').toString() }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
