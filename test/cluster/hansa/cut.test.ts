import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { type CuttableLine, slowLine, startCuttableLine } from './cut.ts'

const open: { destroy(): unknown }[] = []
let server: Server
let line: CuttableLine

/** A server that answers in capitals, and a line to it. */
async function shouting(): Promise<void> {
  server = createServer((socket) => {
    open.push(socket)
    socket.on('error', () => undefined) // resets are what is tested
    socket.on('data', (bytes) => socket.write(bytes.toString().toUpperCase()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('no port')
  line = await startCuttableLine(`127.0.0.1:${bound.port}`)
}

async function client() {
  const [host, port] = line.address.split(':')
  const socket = connect({ host: host ?? '', port: Number(port) })
  open.push(socket)
  const heard = { text: '' }
  socket.on('data', (bytes) => {
    heard.text += bytes.toString()
  })
  await once(socket, 'connect')
  return { socket, heard }
}

const hears = (heard: { text: string }, text: string) => expect.poll(() => heard.text, { timeout: 5000 }).toBe(text)
const closed = (socket: Socket) => new Promise<string>((resolve) => socket.once('error', (e) => resolve(e.message)))

afterEach(async () => {
  for (const each of open.splice(0)) each.destroy()
  await line.close()
  server.close()
})

test('a whole line forwards both ways', async () => {
  await shouting()
  const { socket, heard } = await client()
  socket.write('hello')
  await hears(heard, 'HELLO')
  socket.end()
  await once(socket, 'close')
  await expect.poll(() => line.connections).toBe(0)
})

test('in silence nothing arrives and nothing ends; what was said arrives after healing', async () => {
  await shouting()
  const before = await client()
  before.socket.write('one')
  await hears(before.heard, 'ONE')
  line.cut()
  before.socket.write('two')
  const during = await client()
  during.socket.write('three')
  await sleep(200)
  expect([before.heard.text, during.heard.text]).toEqual(['ONE', ''])
  expect([before.socket.destroyed, during.socket.destroyed]).toEqual([false, false])
  line.heal()
  await hears(before.heard, 'ONETWO')
  await hears(during.heard, 'THREE')
  expect(line.opened).toBe(2)
})

test('a reset ends what is open and refuses what is new', async () => {
  await shouting()
  const before = await client()
  before.socket.write('one')
  await hears(before.heard, 'ONE')
  const end = closed(before.socket)
  line.cut('Reset')
  expect(await end).toContain('ECONNRESET')
  // The reset may come before the connection is seen to be open.
  const during = await client().then(
    ({ socket }) => closed(socket),
    (error: unknown) => String(error),
  )
  expect(during).toContain('ECONNRESET')
  line.heal()
  const after = await client()
  after.socket.write('two')
  await hears(after.heard, 'TWO')
})

test('a slow line takes its time both ways, keeps the order, and is quick again after healing', async () => {
  await shouting()
  const { socket, heard } = await client()
  line.cut('Slow')
  const began = performance.now()
  socket.write('one')
  await sleep(50)
  line.heal()
  socket.write('two')
  await hears(heard, 'ONETWO')
  expect(performance.now() - began).toBeGreaterThan(slowLine.delayMs - 10)
  line.cut('Slow')
  const again = performance.now()
  socket.write('x'.repeat(32_000))
  await hears(heard, `ONETWO${'X'.repeat(32_000)}`)
  expect(performance.now() - again).toBeGreaterThan(2 * slowLine.delayMs + 400)
})

test('a line whose target refuses is reset', async () => {
  await shouting()
  server.close()
  for (const each of open.splice(0)) each.destroy()
  const refused = await client().then(
    ({ socket }) => closed(socket),
    (error: unknown) => String(error),
  )
  expect(refused).toContain('ECONNRESET')
})
