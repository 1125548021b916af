import type { ServerHttp2Stream } from 'node:http2'
import { expect, test } from 'vitest'
import { servePeer } from './serve-peer.ts'

function streamOf() {
  const answers: unknown[] = []
  // What a refusal does with a stream is all here.
  const stream = {
    destroyed: false,
    headersSent: false,
    respond: (head: { ':status': number }) => answers.push(head[':status']),
    end: (body: string) => answers.push(JSON.parse(body)),
  } as unknown as ServerHttp2Stream
  return { stream, answers }
}

test('a call goes to the handler of the start of its path, and to nobody where there is none', () => {
  const calls: string[] = []
  const serve = servePeer({
    '/v1/blobs/': (peer) => calls.push(`blobs of ${peer}`),
    '/v1/ledger': (peer) => calls.push(`ledger of ${peer}`),
  })
  const { stream, answers } = streamOf()
  serve('b', stream, { ':path': '/v1/blobs/sha256:00' })
  serve('c', stream, { ':path': '/v1/ledger' })
  expect(answers).toEqual([])
  for (const path of ['/v1/blob', '/v2/blobs/', '', '//v1/blobs/']) serve('b', stream, { ':path': path })
  serve('b', stream, {})
  expect(calls).toEqual(['blobs of b', 'ledger of c'])
  const refusal = { error: { reason: 'NotFound', message: 'there is no such path' } }
  expect(answers).toEqual(Array.from({ length: 5 }, () => [404, refusal]).flat())
})
