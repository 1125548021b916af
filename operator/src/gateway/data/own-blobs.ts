import { Client, type Dispatcher } from 'undici'
import { namespaceHeader } from '../../api/fetch-state.ts'
import { identityConnector } from '../../identity/connector.ts'
import type { Identity } from '../../identity/identity.ts'

/** A blob or a part of it, as our fetch worker answers. The caller closes it. */
export type OpenedBlob = {
  status: number
  headers: Dispatcher.ResponseData['headers']
  body: Dispatcher.ResponseData['body']
  close(): void
}

/** Opens a file of a Model in a namespace of ours; rejects when the fetch worker cannot be reached. */
export type OpenBlob = (
  wanted: { namespace: string; sha256: string; headers: Record<string, string> },
  signal: AbortSignal,
) => Promise<OpenedBlob>

/** Files that our own fetch worker holds, asked for in the name of the namespace that promised them. */
export function ownBlobs(deps: { url: string; uri: string; identity: Identity }): OpenBlob {
  const connect = identityConnector(deps.identity, deps.uri, { highWaterMarkBytes: 262_144 })
  return async ({ namespace, sha256, headers }, signal) => {
    // A connection each, so that a peer that reads slowly holds up nobody else.
    const client = new Client(deps.url, { connect, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 0 })
    const close = () => {
      // Only fails the body, which whoever reads it hears of.
      client.destroy().catch(() => undefined)
    }
    try {
      const path = `/v1/blobs/sha256:${sha256}`
      const answer = await client.request({
        method: 'GET',
        path,
        headers: { ...headers, [namespaceHeader]: namespace },
        signal,
      })
      answer.body.on('error', () => undefined)
      return { status: answer.statusCode, headers: answer.headers, body: answer.body, close }
    } catch (error) {
      close()
      throw error
    }
  }
}
