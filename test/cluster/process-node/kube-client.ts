import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { HansaError } from '@hansa/operator/process/errors.ts'
import type { KubeObject } from './kube-types.ts'

export interface KubeRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query. */
  readonly path: string
  readonly body?: unknown
  /** Default: JSON; for PATCH a strategic merge patch. */
  readonly contentType?: string
  readonly signal?: AbortSignal
  readonly timeoutSeconds?: number
}

export interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: T
}

/** What the process node and the service proxy need of an API server; answers other than 2xx throw `KubeError`. */
export interface KubeClient {
  request<T>(request: KubeRequest): Promise<T>
  /** Yields events until the server ends the watch, the signal fires or the client goes offline. */
  watch<T extends KubeObject>(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>>
  /** While offline every request fails at once and every watch ends, as if the cable were cut. */
  setOffline(offline: boolean): void
  close(): void
}

export interface KubeClientOptions {
  readonly serverUrl: string
  readonly caPem: string
  readonly credential: { readonly certPem: string; readonly keyPem: string }
  readonly userAgent: string
}

/** The API server said no; `status` is the HTTP code, 0 where there was no answer. */
export class KubeError extends HansaError {
  readonly status: number

  constructor(status: number, reason: string, message: string, cause?: unknown) {
    super(reason, message, cause === undefined ? {} : { cause })
    this.status = status
  }
}

const longestAnswerBytes = 64 * 1024 * 1024

/** Makes a client with a client certificate over HTTP/1.1 connections of its own. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { certPem: cert, keyPem: key } = options.credential
  const agent = new Agent({ ca: options.caPem, cert, key, keepAlive: true, maxFreeSockets: 8 })
  let cable = new AbortController()
  let offline = false

  function cut(why: string): void {
    cable.abort(new KubeError(0, 'Offline', why))
    cable = new AbortController()
  }

  function send(
    { method = 'GET', path, body, contentType }: KubeRequest,
    signals: readonly AbortSignal[],
  ): Promise<IncomingMessage> {
    if (offline) throw new KubeError(0, 'Offline', 'the client is offline')
    const type = contentType ?? (method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json')
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const headers = {
      accept: 'application/json',
      'user-agent': options.userAgent,
      // Node.js sends the body of a DELETE without its length unless told.
      ...(content ? { 'content-type': type, 'content-length': content.length } : {}),
    }
    const signal = AbortSignal.any([cable.signal, ...signals])
    return new Promise((resolve, reject) => {
      const outgoing = request(`${options.serverUrl}${path}`, { method, agent, headers, signal }, (response) => {
        // A body that breaks while nobody reads it would end the program; who reads it is told by the read.
        response.on('error', () => undefined)
        resolve(response)
      })
      outgoing.on('error', (error) => reject(new KubeError(0, 'NoAnswer', error.message, error)))
      outgoing.end(content)
    })
  }

  return {
    async request<T>(wanted: KubeRequest) {
      const deadline = AbortSignal.timeout((wanted.timeoutSeconds ?? 15) * 1_000)
      const response = await send(wanted, wanted.signal ? [wanted.signal, deadline] : [deadline])
      const text = await readBounded(response)
      if (response.statusCode === undefined || response.statusCode >= 300) throw statusError(response, text)
      // The caller names the type of what it asked for; the API server is trusted to answer with it.
      return JSON.parse(text) as T
    },

    async *watch<T extends KubeObject>(path: string, signal: AbortSignal) {
      const response = await send({ path }, [signal])
      if (response.statusCode !== 200) throw statusError(response, await readBounded(response))
      const decoder = new TextDecoder()
      let rest = ''
      for await (const chunk of response) {
        // A stream's chunks are any to the compiler; these are bytes.
        rest += decoder.decode(chunk as Buffer, { stream: true })
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent<T>
      }
    },

    setOffline(value) {
      offline = value
      if (value) cut('the client went offline')
    },

    close() {
      offline = true
      cut('the client is closed')
      agent.destroy()
    },
  }
}

/** Whether an error is the API server's answer with this HTTP code. */
export function isStatus(error: unknown, status: number): boolean {
  return error instanceof KubeError && error.status === status
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > longestAnswerBytes)
      throw new KubeError(0, 'AnswerTooLong', `an answer exceeds ${longestAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function statusError({ statusCode = 0 }: IncomingMessage, text: string): KubeError {
  try {
    const { reason, message } = JSON.parse(text) as { reason?: string; message?: string }
    return new KubeError(statusCode, reason ?? 'Unknown', message ?? `HTTP ${statusCode}`)
  } catch (cause) {
    return new KubeError(statusCode, 'Unknown', `HTTP ${statusCode}`, cause)
  }
}
