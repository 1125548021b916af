import type { IncomingMessage, ServerResponse } from 'node:http'
import { namespaceHeader } from '@hansa/operator/api/fetch-state.ts'
import { dnsLabel } from '@hansa/operator/api/scalar.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { readBody } from '@hansa/operator/identity/read-body.ts'
import { parseSpiffe } from '@hansa/operator/identity/spiffe.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import type { BlobStore } from './blob-store.ts'
import type { Fetcher } from './fetcher.ts'
import type { FetchMetrics } from './metrics.ts'
import type { ModelsApi } from './models-api.ts'
import { CallRefused, json, methodRefused, startMtlsServer } from './mtls-server.ts'
import type { Registry } from './registry.ts'
import { serveBlob } from './serve-blob.ts'

export type ServerDeps = {
  identity: Identity
  /** Identity of the operator; workers are recognised by the trust domain of `identity`. */
  operatorUri: string
  /** Identities that ask in the name of a namespace: caches of nodes, and our gateway for peers. */
  inNameOf: readonly string[]
  models: ModelsApi
  registry: Registry
  blobs: BlobStore
  fetcher: Fetcher
  metrics: FetchMetrics
  log: Logger
}

type Caller = { operator: true } | { operator: false; namespace: string }

const longestBody = 1024 * 1024
const bodyMilliseconds = 10_000

/** Serves the interface of docs/architecture.md ("Models") over mutual TLS. */
export async function startServer(
  address: { host: string; port: number },
  deps: ServerDeps,
): Promise<{ url: string; close(): Promise<void> }> {
  const stopping = new AbortController()
  const trustDomain = parseSpiffe(deps.identity.uri)?.trustDomain
  return startMtlsServer(address, { identity: deps.identity, log: deps.log, handle, stopping })

  async function handle(request: IncomingMessage, response: ServerResponse, uri: string | undefined): Promise<void> {
    const caller = callerOf(request, uri)
    const path = request.url ?? ''
    const blob = /^\/v1\/blobs\/sha256:([0-9a-f]{64})$/.exec(path)
    if (blob !== null) {
      if (request.method !== 'GET' && request.method !== 'HEAD') throw methodRefused()
      return sendBlob(request, response, caller, blob[1] ?? '')
    }
    if (!caller.operator) throw new CallRefused(403, 'Forbidden', 'only the operator may make this call')
    if (path === '/v1/models') {
      if (request.method !== 'GET') throw methodRefused()
      return json(response, 200, { items: deps.models.list() })
    }
    const uid = /^\/v1\/models\/([A-Za-z0-9-]{1,64})$/.exec(path)?.[1]
    if (uid === undefined) throw new CallRefused(404, 'NotFound', 'no such path')
    switch (request.method) {
      case 'GET':
        return json(response, 200, deps.models.get(uid))
      case 'PUT':
        return json(response, 202, await deps.models.put(uid, await jsonBody(request)))
      case 'DELETE':
        await deps.models.delete(uid)
        response.writeHead(204).end()
        return
      default:
        throw methodRefused()
    }
  }

  function callerOf(request: IncomingMessage, uri: string | undefined): Caller {
    if (uri === deps.operatorUri) return { operator: true }
    if (uri !== undefined && deps.inNameOf.includes(uri)) {
      // The cache has seen the worker's certificate, the gateway the RemoteWork that promised the file to a peer.
      const namespace = request.headers[namespaceHeader]
      if (typeof namespace === 'string' && dnsLabel.safeParse(namespace).success) return { operator: false, namespace }
      throw new CallRefused(400, 'Invalid', `the header ${namespaceHeader} must name a namespace`)
    }
    const parts = uri === undefined ? undefined : parseSpiffe(uri)
    if (parts?.trustDomain === trustDomain && parts?.serviceAccount.endsWith('-worker')) {
      return { operator: false, namespace: parts.namespace }
    }
    throw new CallRefused(403, 'Forbidden', 'this identity may make no call')
  }

  async function sendBlob(
    request: IncomingMessage,
    response: ServerResponse,
    caller: Caller,
    sha256: string,
  ): Promise<void> {
    // The same answer for what is not there and for what is another namespace's: a digest must not be a question.
    const granted = caller.operator || deps.registry.grants(caller.namespace, sha256)
    if (!granted || !deps.blobs.has(sha256))
      throw new CallRefused(404, 'BlobNotFound', 'no verified model names this blob')
    const corrupted = () => deps.fetcher.corrupted(sha256)
    if (!(await deps.blobs.intact(sha256, stopping.signal))) {
      await corrupted()
      throw new CallRefused(404, 'BlobNotFound', 'the stored copy was damaged; it is fetched again')
    }
    const served = (bytes: number) => deps.metrics.served.inc(bytes)
    await serveBlob(request, response, sha256, { blobs: deps.blobs, signal: stopping.signal, served, corrupted })
  }
}

async function jsonBody(request: IncomingMessage): Promise<unknown> {
  const timer = setTimeout(() => request.destroy(), bodyMilliseconds)
  try {
    const text = await readBody(request, longestBody)
    if (text === undefined) throw new CallRefused(413, 'TooLarge', `the body is larger than ${longestBody} bytes`)
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw new CallRefused(400, 'Invalid', 'the body is no JSON')
    throw error
  } finally {
    clearTimeout(timer)
  }
}
