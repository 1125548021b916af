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
  expect((await saved.load())?.routes).toEqual([route])
  expect(JSON.parse(await readFile(join(stateDir, 'routes.json'), 'utf8'))).toMatchObject({ version: 1 })
})

test.each([
  '',
  '{',
  '{"version":2}',
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
