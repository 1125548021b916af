import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePorts, isFree, releasePorts } from './ports.ts'

test('ports are distinct, free and kept from other callers', async () => {
  const [some, others] = await Promise.all([freePorts(20), freePorts(20)])
  expect(new Set([...some, ...others]).size).toBe(40)
  for (const port of some) expect(await isFree(port)).toBe(true)
  releasePorts([...some, ...others])
})

test('ports lie below the ephemeral range and below the NodePorts', async () => {
  const ports = await freePorts(50)
  expect(Math.max(...ports)).toBeLessThan(30_000)
  releasePorts(ports)
})

test('a port that somebody listens on is not free', async () => {
  const [port = 0] = await freePorts(1)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect(await isFree(port)).toBe(false)
  await new Promise((resolve) => server.close(resolve))
  expect(await isFree(port)).toBe(true)
  releasePorts([port])
})
