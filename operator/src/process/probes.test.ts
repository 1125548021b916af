import { Counter, Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { startProbes } from './probes.ts'

let close = async () => {}
afterEach(() => close())

async function probes(ready: () => string | undefined, live?: () => string | undefined) {
  const registry = new Registry()
  new Counter({ name: 'hansa_things_total', help: 'Things.', registers: [registry] }).inc(3)
  const started = await startProbes({
    host: '127.0.0.1',
    port: 0,
    ready,
    ...(live === undefined ? {} : { live }),
    registry,
  })
  close = started.close
  return async (path: string, init: RequestInit = {}) => {
    const response = await fetch(started.url + path, init)
    return `${response.status} ${await response.text()}`
  }
}

test('readiness follows what the process says, with the reason', async () => {
  let problem: string | undefined = 'routes not read yet'
  const get = await probes(() => problem)
  expect(await get('/readyz')).toBe('503 routes not read yet')
  problem = undefined
  expect(await get('/readyz?verbose')).toBe('200 ok')
})

test('a question about readiness waits for a start that is about to end, but not for one that takes long', async () => {
  let problem: string | undefined = 'the model is being loaded'
  const start = Promise.withResolvers<void>()
  const registry = new Registry()
  const started = await startProbes({
    ...{ host: '127.0.0.1', port: 0, registry },
    ready: () => problem,
    starting: () => (problem === undefined ? undefined : start.promise),
  })
  close = started.close
  const ask = async () => (await fetch(`${started.url}/readyz`)).text()
  expect(await ask()).toBe('the model is being loaded')
  const asked = ask()
  problem = undefined
  start.resolve()
  expect(await asked).toBe('ok')
  expect(await ask()).toBe('ok')
})

test('a process is live unless it says otherwise', async () => {
  const get = await probes(() => 'not ready')
  expect(await get('/livez')).toBe('200 ok')
  await close()
  const stuck = await probes(
    () => undefined,
    () => 'loop stuck',
  )
  expect(await stuck('/livez')).toBe('503 loop stuck')
})

test('metrics are served, anything else is not', async () => {
  const get = await probes(() => undefined)
  expect(await get('/metrics')).toContain('hansa_things_total 3')
  expect(await get('/')).toMatch(/^404 /)
  expect(await get('/livez', { method: 'POST' })).toMatch(/^405 /)
})

test('closing frees the port at once, also with connections open', async () => {
  const get = await probes(() => undefined)
  await get('/livez')
  const before = Date.now()
  await close()
  expect(Date.now() - before).toBeLessThan(1000)
  close = async () => {}
  await expect(get('/livez')).rejects.toThrow()
})
