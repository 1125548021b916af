import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { certificateUri } from '../../identity/san.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { messageOf } from '../../process/errors.ts'
import { CliError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { plain } from '../io.ts'

export type LedgerAt = { systemNamespace: string; url: string }
export type Call = { method: 'GET' | 'POST'; path: string; query: Record<string, string | undefined> }

const auditor = 'hansa-auditor'
const tokenSeconds = 600
const longestAnswerMilliseconds = 600_000

/** Asks the reader of a ledger: with a token of the auditor's service account, and the cluster's own authority as the only trust. */
export async function askLedger(
  client: KubeClient,
  at: LedgerAt,
  call: Call,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const [ca, token] = await Promise.all([authorityOf(client, at, signal), tokenOf(client, at, signal)])
  const url = addressOf(at.url, call)
  const { systemNamespace } = at
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: call.method,
        headers: { authorization: `Bearer ${token}`, 'content-length': 0 },
        agent: false,
        ca,
        minVersion: 'TLSv1.3',
        signal: AbortSignal.any([signal, AbortSignal.timeout(longestAnswerMilliseconds)]),
        checkServerIdentity: (_host, { raw }) => {
          const uri = certificateUri(raw)
          return uri?.endsWith(`/ns/${systemNamespace}/sa/hansa-ledger`) === true
            ? undefined
            : new Error(`the server is ${uri ?? 'not identified by one URI'}, not the ledger of ${systemNamespace}`)
        },
      },
      resolve,
    )
    sent.on('error', reject)
    sent.end()
  }).catch((error: unknown) => {
    if (signal.aborted) throw error
    throw new CliError(
      exitCodes.cluster,
      `cannot reach the ledger at ${plain(at.url)}: ${plain(messageOf(error))}`,
      `From outside the cluster: kubectl -n ${systemNamespace} port-forward statefulset/hansa-ledger 8450`,
    )
  })
  if (response.statusCode === 200) return response
  throw await refusal(response)
}

/** The whole answer as JSON; at most 64 MiB. */
export async function askLedgerJson<T>(client: KubeClient, at: LedgerAt, call: Call, signal: AbortSignal): Promise<T> {
  const text = await textOf(await askLedger(client, at, call, signal), 64 * 1024 * 1024)
  // The ledger is our own, proven by its certificate; what it says has the form of its own types.
  return JSON.parse(text) as T
}

async function refusal(response: IncomingMessage): Promise<CliError> {
  const text = await textOf(response, 64 * 1024)
  let message = `HTTP ${response.statusCode}`
  try {
    const { error }: { error?: { message?: unknown } } = JSON.parse(text)
    if (typeof error?.message === 'string') message = plain(error.message)
  } catch {
    // not of the ledger: the status must do
  }
  const code = response.statusCode === 404 ? exitCodes.notFound : exitCodes.cluster
  return new CliError(code, `the ledger refuses: ${message}`)
}

async function textOf(body: AsyncIterable<Buffer>, most: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > most) throw new CliError(exitCodes.cluster, `the answer of the ledger is longer than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function addressOf(base: string, { path, query }: Call): URL {
  let url: URL
  try {
    url = new URL(path, base)
  } catch {
    throw new CliError(exitCodes.usage, `--url ${plain(base)} is no address`, 'Such as https://127.0.0.1:8450')
  }
  if (url.protocol !== 'https:') throw new CliError(exitCodes.usage, '--url must begin with https://')
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value)
  return url
}

async function authorityOf(client: KubeClient, { systemNamespace }: LedgerAt, signal: AbortSignal): Promise<string> {
  const path = `/api/v1/namespaces/${encodeURIComponent(systemNamespace)}/configmaps/hansa-trust`
  // A ConfigMap; the API server vouches for its form.
  const trust = (await client.raw('GET', path, { signal })) as { data?: Record<string, string> }
  const pem = trust.data?.['ca.pem']
  if (pem !== undefined) return pem
  throw new CliError(
    exitCodes.cluster,
    `the ConfigMap ${systemNamespace}/hansa-trust has no ca.pem`,
    'kubectl hansa check',
  )
}

async function tokenOf(client: KubeClient, { systemNamespace }: LedgerAt, signal: AbortSignal): Promise<string> {
  const path = `/api/v1/namespaces/${encodeURIComponent(systemNamespace)}/serviceaccounts/${auditor}/token`
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: ['hansa-ledger'], expirationSeconds: tokenSeconds },
  }
  // A TokenRequest; the API server vouches for its form.
  const answer = (await client.raw('POST', path, { signal, body })) as { status?: { token?: string } }
  const token = answer.status?.token
  if (token !== undefined) return token
  throw new CliError(exitCodes.cluster, `the API server gave no token of ${systemNamespace}/${auditor}`)
}
