import { namespaceHeader } from '@hansa/operator/api/fetch-state.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { FetchError } from './fetch-error.ts'
import type { SourceResponse } from './open-source.ts'

/** Our gateway as the way to the gateways of peers. */
export type PeerBlobs = { url: string; open: () => Dispatcher }

export type PeerBlob = { peerName: string; requestId: string; namespace: string; sha256: string }

const maxRefusalBytes = 4096
const refusalSchema = z.object({ error: z.object({ reason: z.string().max(64), message: z.string().max(1024) }) })

/** Asks our gateway for a file that a peer's gateway has, or for a range of it; the caller closes the response. */
export async function openPeerBlob(
  { peerName, requestId, namespace, sha256 }: PeerBlob,
  headers: Record<string, string>,
  signal: AbortSignal,
  peerBlobs: PeerBlobs | undefined,
): Promise<Omit<SourceResponse, 'url'>> {
  if (peerBlobs === undefined) {
    throw new FetchError('PeerUnreachable', 'the fetch worker was not told of a gateway with peers', {
      retry: 'after',
      afterSeconds: 300,
      hint: 'set the chart value link.enabled',
    })
  }
  const dispatcher = peerBlobs.open()
  const close = () => dispatcher.destroy()
  try {
    const {
      statusCode,
      headers: answered,
      body,
    } = await dispatcher.request({
      method: 'GET',
      origin: peerBlobs.url,
      path: `/v1/peers/${peerName}/requests/${requestId}/blobs/sha256:${sha256}`,
      headers: { ...headers, [namespaceHeader]: namespace },
      signal,
    })
    body.on('error', () => undefined)
    if (statusCode >= 400 && statusCode !== 416) throw refused(peerName, statusCode, await start(body))
    return { status: statusCode, headers: answered, body, close }
  } catch (error) {
    await close()
    signal.throwIfAborted()
    if (error instanceof HansaError) throw error
    throw new FetchError('PeerUnreachable', `our gateway does not answer: ${messageOf(error)}`, { cause: error })
  }
}

async function start(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    pieces.push(piece)
    if (bytes > maxRefusalBytes) break
  }
  return Buffer.concat(pieces).toString('utf8')
}

function refused(peerName: string, status: number, text: string): FetchError {
  const { reason, message } = refusalOf(text) ?? { reason: '', message: `answers ${status}` }
  const says = `peer ${peerName}: ${message}`
  switch (reason) {
    case 'PeerWorkNotGranted':
    case 'PeerRefused':
      // A request that was just granted, here or there, may not have reached the gateway yet.
      return new FetchError(reason, says, { retry: 'after', afterSeconds: 3 })
    case 'BlobNotFound':
      return new FetchError('SourceNotFound', says, { retry: 'after', afterSeconds: 30 })
    default:
      return new FetchError('PeerUnreachable', says, { retry: 'after', afterSeconds: 3 })
  }
}

function refusalOf(text: string): z.infer<typeof refusalSchema>['error'] | undefined {
  try {
    return refusalSchema.safeParse(JSON.parse(text)).data?.error
  } catch {
    return undefined // not the gateway's own words
  }
}
