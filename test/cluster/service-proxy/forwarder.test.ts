import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { freePorts } from '../ports.ts'
import { type Forwarder, startForwarder, type Target } from './forwarder.ts'

const open: (Server | Forwarder)[] = []

afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

/** A server that reads all of a request, up to the end that the client sends, before it answers. */
async function backend(name: string): Promise<Target> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let question = ''
    socket.on('data', (chunk) => {
      question += chunk
    })
    socket.on('end', () => socket.end(`${name}:${question}`))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function forwarder(targets: readonly Target[]): Promise<number> {
  const [port = 0] = await freePorts(1)
  open.push(await startForwarder({ host: '127.0.0.1', port }, () => targets))
  return port
}

async function ask(port: number, question: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(question)
  return text(socket)
}

test('connections go to one target after the other, and a client may end its half before the answer', async () => {
  const port = await forwarder([await backend('a'), await backend('b')])
  const long = 'x'.repeat(300_000)
  expect([await ask(port, '1'), await ask(port, '2'), await ask(port, long)]).toEqual(['a:1', 'b:2', `a:${long}`])
})

test('without a target, or when it refuses, the connection is reset', async () => {
  await expect(ask(await forwarder([]), 'x')).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(ask(await forwarder([{ host: '127.0.0.1', port: 1 }]), 'x')).rejects.toMatchObject({
    code: 'ECONNRESET',
  })
})

test('closing ends the connections that are open', async () => {
  const port = await forwarder([await backend('a')])
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  await open.pop()?.close()
  await closed
})
