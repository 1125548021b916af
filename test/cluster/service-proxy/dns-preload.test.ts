import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHostsFile } from './hosts-file.ts'

let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hansa-dns-'))
  const names = new Map([
    ['web.shop', ['127.130.0.2']],
    ['many.shop', ['127.64.0.2', '127.64.0.3']],
  ])
  await createHostsFile(join(dir, 'hosts.json')).write(names)
})

afterAll(() => rm(dir, { recursive: true }))

/** Runs a module with the preload and returns what it prints as JSON. */
async function run(script: string): Promise<unknown> {
  const preload = new URL('./dns-preload.ts', import.meta.url).href
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      `--import=${preload}`,
      '--input-type=module',
      '--eval',
      `const print = (x) => console.log(JSON.stringify(x));${script}`,
    ],
    { env: { HANSA_TEST_HOSTS_FILE: join(dir, 'hosts.json'), HANSA_TEST_NAMESPACE: 'shop' } },
  )
  return JSON.parse(stdout)
}

test.each(['web.shop', 'web.shop.svc', 'WEB.shop.svc.cluster.local.', 'web'])('%s is found', async (name) => {
  const script = `import { lookup } from 'node:dns'; lookup('${name}', (error, address, family) => print([error, address, family]))`
  expect(await run(script)).toEqual([null, '127.130.0.2', 4])
})

test('promises, promisified lookups and lists of addresses work as without it', async () => {
  const script = `
    import dns from 'node:dns'
    import { lookup } from 'node:dns/promises'
    import { promisify } from 'node:util'
    const all = await lookup('many.shop.svc', { all: true })
    print([await lookup('web.shop'), await promisify(dns.lookup)('web.shop'), all.map((a) => a.address).sort()])`
  const one = { address: '127.130.0.2', family: 4 }
  expect(await run(script)).toEqual([one, one, ['127.64.0.2', '127.64.0.3']])
})

test('other names and addresses are looked up as ever', async () => {
  const script = `
    import { lookup } from 'node:dns/promises'
    const unknown = await lookup('nothing.invalid').catch((error) => error.code)
    print([await lookup('127.0.0.1'), typeof unknown])`
  expect(await run(script)).toEqual([{ address: '127.0.0.1', family: 4 }, 'string'])
})

test('a name that appears later is found without a restart', async () => {
  const path = join(dir, 'hosts.json')
  const script = `
    import { lookup } from 'node:dns/promises'
    import { writeFileSync } from 'node:fs'
    const before = await lookup('later.shop.svc').catch(() => 'none')
    writeFileSync('${path}', JSON.stringify({ 'later.shop.svc': ['127.130.0.9'] }))
    print([before, (await lookup('later.shop.svc')).address])`
  await writeFile(path, '{}')
  expect(await run(script)).toEqual(['none', '127.130.0.9'])
})
