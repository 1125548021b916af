import { HansaError } from '@hansa/operator/process/errors.ts'
import { Agent, request as send } from 'undici'
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
  close(): Promise<void>
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
  const dispatcher = new Agent({ connect: { ca: options.caPem, cert, key }, bodyTimeout: 0, headersTimeout: 30_000 })
  let cable = new AbortController()
  let offline = false

  function guard(signal: AbortSignal | undefined, timeoutSeconds: number | undefined): AbortSignal {
    if (offline) throw new KubeError(0, 'Offline', 'the client is offline')
    const signals = [cable.signal, ...(signal ? [signal] : [])]
    if (timeoutSeconds !== undefined) signals.push(AbortSignal.timeout(timeoutSeconds * 1_000))
    return AbortSignal.any(signals)
  }

  return {
    async request<T>({ method = 'GET', path, body, contentType, signal, timeoutSeconds = 15 }: KubeRequest) {
      const type = contentType ?? (method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json')
      const response = await send(`${options.serverUrl}${path}`, {
        method,
        dispatcher,
        signal: guard(signal, timeoutSeconds),
        headers: {
          accept: 'application/json',
          'user-agent': options.userAgent,
          ...(body === undefined ? {} : { 'content-type': type }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await readBounded(response.body)
      if (response.statusCode >= 300) throw statusError(response.statusCode, text)
      // The caller names the type of what it asked for; the API server is trusted to answer with it.
      return JSON.parse(text) as T
    },

    async *watch<T extends KubeObject>(path: string, signal: AbortSignal) {
      const response = await send(`${options.serverUrl}${path}`, {
        dispatcher,
        signal: guard(signal, undefined),
        headers: { accept: 'application/json', 'user-agent': options.userAgent },
      })
      if (response.statusCode !== 200) throw statusError(response.statusCode, await readBounded(response.body))
      const decoder = new TextDecoder()
      let rest = ''
      for await (const chunk of response.body) {
        // undici types a body's chunks as any; they are bytes.
        rest += decoder.decode(chunk as Buffer, { stream: true })
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent<T>
      }
    },

    setOffline(value) {
      offline = value
      if (!value) return
      cable.abort(new KubeError(0, 'Offline', 'the client went offline'))
      cable = new AbortController()
    },

    close: () => dispatcher.destroy(),
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

function statusError(code: number, text: string): KubeError {
  try {
    const { reason, message } = JSON.parse(text) as { reason?: string; message?: string }
    return new KubeError(code, reason ?? 'Unknown', message ?? `HTTP ${code}`)
  } catch (cause) {
    return new KubeError(code, 'Unknown', `HTTP ${code}`, cause)
  }
}
