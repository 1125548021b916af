import { namespaceHeader } from '@hansa/operator/api/fetch-state.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { type Dispatcher, request } from 'undici'
import { CallRefused } from '../fetch/mtls-server.ts'

export type Upstream = {
  /** Size of a blob that the namespace may have; undefined: it may not, or there is none. */
  size(namespace: string, sha256: string, signal: AbortSignal): Promise<number | undefined>
  /** The bytes from `from` on. */
  open(namespace: string, sha256: string, from: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
}

const askMilliseconds = 10_000

/** The fetch worker, asked in the name of a namespace. Throws CallRefused 503 while it cannot be reached. */
export function fetchUpstream(url: string, dispatcher: Dispatcher): Upstream {
  async function call(method: 'GET' | 'HEAD', namespace: string, sha256: string, from: number, signal: AbortSignal) {
    try {
      return await request(`${url}/v1/blobs/sha256:${sha256}`, {
        method,
        dispatcher,
        signal,
        headersTimeout: 60_000,
        headers: { [namespaceHeader]: namespace, ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
      })
    } catch (error) {
      throw unreachable(messageOf(error))
    }
  }
  return {
    async size(namespace, sha256, signal) {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(askMilliseconds)])
      const { statusCode, headers, body } = await call('HEAD', namespace, sha256, 0, bounded)
      await body.dump()
      if (statusCode === 404) return undefined
      const size = Number(headers['content-length'])
      if (statusCode !== 200 || !Number.isSafeInteger(size)) throw unreachable(`it answers ${statusCode}`)
      return size
    },
    async open(namespace, sha256, from, signal) {
      const { statusCode, headers, body } = await call('GET', namespace, sha256, from, signal)
      // A body that is given up fails; the loop that reads it hears of that by itself.
      body.on('error', () => undefined)
      const right = from === 0 ? statusCode === 200 : String(headers['content-range']).startsWith(`bytes ${from}-`)
      if (right) return body
      body.destroy()
      throw unreachable(`it answers ${statusCode}`)
    },
  }
}

function unreachable(why: string): CallRefused {
  return new CallRefused(503, 'FetchWorkerUnreachable', `the fetch worker does not answer the cache: ${why}`)
}
