import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { systemClock } from '../../kube/clock.ts'
import type { RouteSpec } from './route-spec.ts'
import { SavedRoutes } from './saved-routes.ts'

const route: RouteSpec = {
  namespace: 'apps',
  service: 'digits',
  serviceAccounts: ['apps:caller'],
  oidc: [],
  requestSeconds: 60,
  requestBytes: 1024,
  responseBytes: 1024,
  inFlight: 10,
  suspended: false,
  mayWake: true,
  holdSeconds: 60,
  held: 500,
  targetInFlight: 8,
  ownFirst: true,
  queueDepth: 100,
  canary: 'r2',
  mirror: { revision: 'r2', permille: 50, tolerance: 0.001 },
  endpoints: [{ address: '10.0.0.1', pod: 'a', revision: 'r1', percent: 100 }],
}

async function folder(): Promise<{ stateDir: string; saved: SavedRoutes }> {
  const stateDir = await mkdtemp(join(tmpdir(), 'hansa-routes-'))
  return { stateDir, saved: new SavedRoutes({ stateDir, clock: systemClock, log: pino({ level: 'silent' }) }) }
}

test('what was saved last is loaded, and many saves in a row become one file', async () => {
  const { stateDir, saved } = await folder()
  saved.save([])
  saved.save([route])
  await saved.flush()
  expect((await saved.load())?.items).toEqual([route])
  expect(JSON.parse(await readFile(join(stateDir, 'routes.json'), 'utf8'))).toMatchObject({ version: 2 })
})

test('routes that an older gateway saved are read; nobody waits for those', async () => {
  const { stateDir, saved } = await folder()
  const { mayWake, holdSeconds, held, queueDepth, canary, mirror, ...old } = route
  await writeFile(join(stateDir, 'routes.json'), JSON.stringify({ version: 1, savedAt: 1, routes: [old] }))
  expect((await saved.load())?.items).toEqual([{ ...old, mayWake: false, holdSeconds: 0, held: 500, queueDepth: 100 }])
})

test.each([
  '',
  '{',
  '{"version":3}',
  '{"version":1,"savedAt":1,"routes":[{}]}',
  '{"version":1,"savedAt":1,"routes":[{"endpoints":[{"address":"example.com"}]}]}',
])('the damaged file %j is no routes and no crash', async (text) => {
  const { stateDir, saved } = await folder()
  await writeFile(join(stateDir, 'routes.json'), text)
  expect(await saved.load()).toBeUndefined()
})

test('a folder that cannot be written to costs a log line, not the gateway', async () => {
  const { stateDir } = await folder()
  await writeFile(join(stateDir, 'file'), '')
  const saved = new SavedRoutes({
    stateDir: join(stateDir, 'file'),
    clock: systemClock,
    log: pino({ level: 'silent' }),
  })
  saved.save([route])
  await expect(saved.flush()).resolves.toBeUndefined()
})
