import { writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import type { KeyAndCertificate } from './certificates.ts'

export type Credential = KeyAndCertificate | { readonly token: string }

export interface KubeconfigOptions {
  readonly name: string
  readonly serverUrl: string
  readonly caPem: string
  readonly credential: Credential
}

/** Writes a kubeconfig with one cluster, one user and one context, all inline, readable by the user alone. */
export async function writeKubeconfig(path: string, options: KubeconfigOptions): Promise<string> {
  const { name, serverUrl, caPem, credential } = options
  const user =
    'token' in credential
      ? { token: credential.token }
      : { 'client-certificate-data': base64(credential.certPem), 'client-key-data': base64(credential.keyPem) }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: serverUrl, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
  await writeFile(path, stringify(config), { mode: 0o600 })
  return path
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
