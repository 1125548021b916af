import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { serveCalls } from './callee.ts'

/** Both ends of one connection, as TCP makes it. */
async function connected(): Promise<[Socket, Socket]> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const near = connect({ host: '127.0.0.1', port: address.port })
  const [far]: Socket[] = await once(server, 'connection')
  server.close()
  if (far === undefined) throw new Error('no connection')
  return [near, far]
}

test('a call of a method that is not there is answered UNIMPLEMENTED and told as a refusal, its path cut short', async () => {
  const [near, far] = await connected()
  const refused: string[][] = []
  const onRefused = (...each: string[]) => void refused.push(each)
  const callee = serveCalls(far, { routes: [], streams: 4, onRefused })
  const session = connectHttp2('http://link', { createConnection: () => near })
  const path = `/hansa.Link/${'x'.repeat(1000)}`
  const call = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  call.end()
  const [headers]: Record<string, string>[] = await once(call, 'response')
  expect(headers?.['grpc-status']).toBe('12')
  expect(refused).toEqual([[path.slice(0, 128), 'UnknownMethod', 'there is no such method']])
  session.destroy()
  callee.destroy()
})
