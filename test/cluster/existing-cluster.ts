import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { ensureTools } from './assets.ts'
import type { Cluster } from './cluster.ts'
import { type ApiClient, type ApiRequest, type ApiResponse, createApiClient } from './owner/api-request.ts'
import { clusterTools } from './owner/cluster-tools.ts'
import { removeFolderOnDeath } from './tethered-process.ts'

/** A context of a kubeconfig of the user's. */
export interface ExistingContext {
  readonly kubeconfigPath: string
  readonly context: string
}

/** The clusters that the user offers: HANSA_KUBECONFIG, and in HANSA_KUBE_CONTEXTS the contexts, separated by commas. */
export function existingContexts(env: NodeJS.ProcessEnv = process.env): ExistingContext[] {
  const kubeconfigPath = env.HANSA_KUBECONFIG ?? ''
  const contexts = (env.HANSA_KUBE_CONTEXTS ?? '').split(',').map((name) => name.trim())
  const named = contexts.filter((name) => name !== '')
  if (named.length > 0 && kubeconfigPath === '') throw new Error('HANSA_KUBE_CONTEXTS needs HANSA_KUBECONFIG beside it')
  if (kubeconfigPath.includes(delimiter)) throw new Error('HANSA_KUBECONFIG must name one file')
  return named.map((context) => ({ kubeconfigPath, context }))
}

/** Uses a cluster that exists already. `stop` leaves it as it is. */
export async function useExistingCluster({ kubeconfigPath, context }: ExistingContext): Promise<Cluster> {
  // Loading it takes more than a second, which owners of our own need not pay.
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromFile(kubeconfigPath)
  config.setCurrentContext(context)
  const cluster = config.getCurrentCluster()
  if (!cluster) throw new Error(`${kubeconfigPath} has no context ${context} with a cluster`)

  const dir = await mkdtemp(join(tmpdir(), 'hansa-existing-'))
  const keepFolder = removeFolderOnDeath(dir)
  const ownPath = join(dir, 'kubeconfig')
  await writeFile(ownPath, config.exportConfig(), { mode: 0o600 })
  const caPem = cluster.caData ? Buffer.from(cluster.caData, 'base64').toString('utf8') : ''
  const client = configClient(config, cluster.server, caPem)
  const { kubectl, helm } = await ensureTools()
  return {
    name: context,
    serverUrl: cluster.server,
    caPem,
    kubeconfigPath: ownPath,
    ...clusterTools({ kubectl, helm, kubeconfigPath: ownPath, home: dir, client }),
    async stop() {
      await client.close()
      await rm(dir, { recursive: true, force: true })
      keepFolder()
    },
  }
}

/** Requests with whatever way to authenticate the kubeconfig names, exec plugins included. */
function configClient(config: KubeConfig, serverUrl: string, caPem: string): ApiClient {
  // The kubeconfig's own options would send its client certificate along, which beats a token.
  const withTokens = createApiClient(serverUrl, caPem)
  return {
    async send(request) {
      if (request.token !== undefined) return withTokens.send(request)
      const options: RequestOptions = {}
      await config.applyToHTTPSOptions(options)
      return sendHttps(serverUrl, options, request)
    },
    close: () => withTokens.close(),
  }
}

function sendHttps(serverUrl: string, options: RequestOptions, asked: ApiRequest): Promise<ApiResponse> {
  const { method = 'GET', path, body, timeoutMilliseconds = 30_000 } = asked
  const type = asked.contentType ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      new URL(`${serverUrl.replace(/\/$/, '')}${path}`),
      {
        ...options,
        method,
        signal: AbortSignal.timeout(timeoutMilliseconds),
        headers: {
          ...options.headers,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': type }),
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          const isJson = (response.headers['content-type'] ?? '').includes('json')
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text })
        })
      },
    )
    request.once('error', reject)
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}
