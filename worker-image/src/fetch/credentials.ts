import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Credentials } from '@hansa/operator/oci/session.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { Client } from 'undici'
import { z } from 'zod'
import { FetchError } from './fetch-error.ts'

export type CredentialsDeps = {
  /** Folder with `token` and `ca.crt` of this process's service account. */
  serviceAccountDir: string
  /** `https://host:port` of the API server. */
  apiUrl: string
  /** Namespace and name of this process's service account, for the hint. */
  namespace: string
  serviceAccount: string
}

const longestAnswer = 2 * 1024 * 1024
const secretSchema = z.object({ data: z.record(z.string(), z.string()).optional() })

/**
 * The value of the Authorization header that a source wants: from the Secret's key `token` (Bearer), or `username` and
 * `password` (Basic); and from `realm` the token service of a registry that may see it, too. Read anew each time and never kept.
 * Throws FetchError `CredentialsNotGranted`, `SourceUnreachable`.
 */
export async function readCredentials(
  namespace: string,
  secretName: string,
  signal: AbortSignal,
  deps: CredentialsDeps,
): Promise<Credentials> {
  const token = (await readFile(join(deps.serviceAccountDir, 'token'), 'utf8')).trim()
  const ca = await readFile(join(deps.serviceAccountDir, 'ca.crt'), 'utf8')
  const client = new Client(deps.apiUrl, {
    connect: { ca, timeout: 10_000 },
    headersTimeout: 10_000,
    bodyTimeout: 10_000,
  })
  try {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(secretName)}`
    const headers = { authorization: `Bearer ${token}`, accept: 'application/json' }
    const response = await client.request({ method: 'GET', path, headers, signal })
    let text = ''
    for await (const chunk of response.body) {
      text += chunk
      if (text.length > longestAnswer) throw new Error('the answer is too large')
    }
    if (response.statusCode === 403 || response.statusCode === 401) throw notGranted(namespace, secretName, deps)
    if (response.statusCode === 404) {
      throw unusable(`Secret ${secretName} does not exist`, 'create it with key token, or username and password')
    }
    if (response.statusCode !== 200) throw new Error(`the API server answers ${response.statusCode}`)
    return credentialsOf(secretSchema.parse(JSON.parse(text)).data ?? {}, secretName)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof FetchError) throw error
    const message = `the Secret ${secretName} cannot be read from the API server: ${describe(error)}`
    throw new FetchError('SourceUnreachable', message)
  } finally {
    await client.destroy()
  }
}

// A parser's message may quote what it parsed, and that is a secret.
function describe(error: unknown): string {
  return error instanceof SyntaxError || error instanceof z.ZodError ? 'unexpected answer' : messageOf(error)
}

function credentialsOf(data: Record<string, string>, secretName: string): Credentials {
  const value = (key: string) => {
    const encoded = data[key]
    return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8').trim()
  }
  const token = value('token')
  const username = value('username')
  const password = value('password')
  const realm = value('realm')
  const realmOrigin = realm !== undefined && URL.canParse(realm) ? { realmOrigin: new URL(realm).origin } : {}
  if (token !== undefined && /^[\x21-\x7e]+$/.test(token)) return { authorization: `Bearer ${token}`, ...realmOrigin }
  if (username !== undefined && password !== undefined && !username.includes(':')) {
    const basic = Buffer.from(`${username}:${password}`).toString('base64')
    return { authorization: `Basic ${basic}`, ...realmOrigin }
  }
  throw unusable(`Secret ${secretName} has no usable key token, or username and password`, 'check its keys')
}

function notGranted(namespace: string, secretName: string, deps: CredentialsDeps): FetchError {
  const command = `kubectl create rolebinding hansa-source-credentials --namespace ${namespace} --clusterrole hansa-source-credentials --serviceaccount ${deps.namespace}:${deps.serviceAccount}`
  return unusable(
    `the namespace does not let the fetch worker read Secret ${secretName}; grant it with: ${command}`,
    command,
  )
}

function unusable(message: string, hint: string): FetchError {
  return new FetchError('CredentialsNotGranted', message, { retry: 'after', afterSeconds: 30, hint })
}
