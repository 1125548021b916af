import { createHash } from 'node:crypto'
import { performServerHandshake } from 'node:http2'
import { dialPeer } from '@hansa/operator/federation/dial-peer.ts'
import { pairingOf } from '@hansa/operator/federation/pairing.ts'
import { dataAlpn } from '@hansa/operator/gateway/data/connections.ts'
import { identityOf, type KnownOwner, peerOf, type TestOwner } from '../../builders/federation.ts'

/** Dials an executor's gateway as the gateway of `requester`, and gives it the file by digest when it calls back over that line. */
export async function openBlobLine(
  requester: TestOwner,
  executor: KnownOwner,
  address: string,
  file: Uint8Array,
): Promise<{ close(): void }> {
  const credentials = await requester.certificate('gateway', 7_200)
  const verdict = pairingOf(peerOf(executor), identityOf(requester), {
    process: 'gateway',
    credentials,
    now: Date.now,
  })
  if (!verdict.ok) throw new Error(verdict.message)
  const { signal } = new AbortController()
  const options = { address, alpn: dataAlpn.reverse, timeoutSeconds: 10, signal }
  const socket = await dialPeer(verdict.pairing, options)
  const session = performServerHandshake(socket, { settings: { maxConcurrentStreams: 64 } })
  const path = `/v1/blobs/sha256:${createHash('sha256').update(file).digest('hex')}?`
  session.on('error', () => session.destroy())
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined) // the executor's fetch asks again
    if (headers[':path']?.startsWith(path) !== true || headers.range !== undefined) {
      stream.respond({ ':status': 404 }, { endStream: true })
      return
    }
    stream.respond({ ':status': 200, 'content-length': file.length })
    stream.end(file)
  })
  return { close: () => session.destroy() }
}
