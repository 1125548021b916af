import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { checkGrpcHealth } from './grpc-health.ts'

/** A server that calls exactly one service healthy, by the bytes of its name. */
async function serve(healthy: string): Promise<string> {
  const server = createServer()
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const known = Buffer.concat(chunks).subarray(7).toString() === healthy
      expect(headers[':path']).toBe('/grpc.health.v1.Health/Check')
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': known ? '0' : '5' }))
      stream.end(known ? Buffer.from([0, 0, 0, 0, 2, 8, 1]) : undefined)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a service that serves is healthy, any other is not', async () => {
  const authority = await serve('model')
  const signal = AbortSignal.timeout(5_000)
  expect(await checkGrpcHealth(authority, 'model', signal)).toBeUndefined()
  expect(await checkGrpcHealth(authority, 'other', signal)).toBe('service is not serving')
  expect(await checkGrpcHealth('127.0.0.1:1', '', signal)).toContain('ECONNREFUSED')
})
