import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { onTestFinished } from 'vitest'

export type Secret = { status: number; data?: Record<string, string> }

/** An API server that answers every call with one Secret, what it was asked, and the environment that leads fetch to it. */
export async function startSecretApi(
  authority: Authority,
  secret: Secret,
): Promise<{ env: Record<string, string>; asked: string[] }> {
  const { keyPem, certPem } = await issueCredentials(authority, 'spiffe://test.hansa/ns/default/sa/api', {
    dnsNames: ['localhost'],
  })
  const asked: string[] = []
  const api = createServer({ key: keyPem, cert: certPem }, (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    const data = Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
    response.writeHead(secret.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ kind: 'Secret', data: Object.fromEntries(data) }))
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  // listen with a port always gives an AddressInfo.
  const { port } = api.address() as AddressInfo
  const account = await mkdtemp(join(tmpdir(), 'hansa-account-'))
  await writeFile(join(account, 'token'), 'fetch-own-token\n')
  await writeFile(join(account, 'ca.crt'), authority.caPem)
  onTestFinished(async () => {
    api.close()
    api.closeAllConnections()
    await rm(account, { recursive: true, force: true })
  })
  return {
    asked,
    env: {
      HANSA_SERVICE_ACCOUNT_DIR: account,
      KUBERNETES_SERVICE_HOST: 'localhost',
      KUBERNETES_SERVICE_PORT: String(port),
    },
  }
}
