import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { parseKeys } from '@hansa/operator/owneridentity/identity-keys.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureAssets } from '../../cluster/assets.ts'
import { installDefinitions } from '../../cluster/definitions.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { conditionText, type JoinSide, startJoinSide } from '../../cluster/hansa/join-side.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../../demo/wait.ts'

type Place = 'clinic' | 'university'
type Side = { cluster: Owner; side: JoinSide }

// Some twenty processes, one after the other.
const patience = 400_000
const sides = new Map<Place, Side>()
let folder = ''
const at = (place: Place): Side => {
  const found = sides.get(place)
  if (found === undefined) throw new Error(`${place} did not start`)
  return found
}

/** The blocks of the page below a heading that are to be run, each with where. */
async function blocks(heading: string): Promise<{ place: Place; commands: string }[]> {
  const page = await readFile(join(repository, 'docs/owners.md'), 'utf8')
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/```sh\n# at the (clinic|university)\n([\s\S]*?)```/g)].map(
    ([, place, commands = '']) => ({
      place: place === 'clinic' ? 'clinic' : 'university',
      commands,
    }),
  )
}

/** Runs a block in a shell; `typed` is what the admin hears on the telephone and types. */
function shell(place: Place, commands: string, typed = ''): Promise<string> {
  const env = {
    ...process.env,
    KUBECONFIG: at(place).cluster.kubeconfigPath,
    PATH: [join(folder, 'bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
  }
  return new Promise((done, fail) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', commands], { cwd: folder, env, timeout: patience })
    let output = ''
    let errors = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    child.stderr.on('data', (data) => {
      errors += data
    })
    child.once('error', fail)
    child.once('close', (code) =>
      code === 0 ? done(output) : fail(new Error(`at the ${place}: ${commands}exits ${code}: ${errors}`)),
    )
    child.stdin.on('error', () => undefined) // most commands read nothing
    child.stdin.end(typed)
  })
}

async function runAll(heading: string): Promise<string> {
  let output = ''
  let readOut = ''
  const found = await blocks(heading)
  expect(found.length, `docs/owners.md has blocks below "${heading}"`).toBeGreaterThan(0)
  for (const { place, commands } of found) {
    const said = await shell(place, commands, readOut)
    if (commands.includes('peer fingerprint')) readOut = said
    output += said
  }
  return output
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-owners-page-'))
  await mkdir(join(folder, 'bin'))
  await symlink((await ensureAssets()).kubectl, join(folder, 'bin/kubectl'))
  await symlink(join(repository, 'operator/src/cli/main.ts'), join(folder, 'bin/kubectl-hansa'))
  await Promise.all(
    (['clinic', 'university'] as const).map(async (place) => {
      const cluster = await startOwner({ name: place })
      await installDefinitions(cluster)
      sides.set(place, { cluster, side: await startJoinSide(cluster, 'operator') })
    }),
  )
})
afterAll(async () => {
  await Promise.all([...sides.values()].map(({ side }) => side.stop()))
  await Promise.all([...sides.values()].map(({ cluster }) => cluster.stop()))
  await rm(folder, { recursive: true, force: true })
})

test(
  'two owners join by the commands of the page',
  async () => {
    expect(await runAll('An identity')).toContain('+ Ready: Published')
    const said = await runAll('Joining')
    expect(said).toContain('What university will be able to ask of this cluster')
    expect(said).toMatch(/university +university +main +main/)
    expect(conditionText(await at('clinic').side.judged('university'), 'Verified')).toBe('True FingerprintMatches')
    expect(conditionText(await at('university').side.judged('clinic'), 'Verified')).toBe('True FingerprintMatches')
  },
  patience,
)

test(
  'keys are rotated and revoked, and a peer frozen and left, by the commands of the page',
  async () => {
    await runAll('Rotating keys')
    await runAll('A compromised or lost key')
    await eventually('the new keys are published', async () => {
      const { side } = at('university')
      const { status } = JSON.parse((await side.hansa(['identity', 'show', 'main', '-o', 'json'])).stdout)
      const bundle = JSON.parse(Buffer.from(JSON.parse(status.bundle.envelope).payload, 'base64').toString())
      return bundle.rotations.length === 1 && bundle.revoked.length > 0 ? true : undefined
    })
    await runAll('Freezing')
    await runAll('Leaving')
    expect((await at('clinic').side.hansa(['peer', 'show', 'university'])).code).toBe(4)
  },
  patience,
)

test('a second cluster of an owner has its trust domain by a copy of the root key alone', async () => {
  const [first, second] = [at('university'), at('clinic')]
  const path = '/api/v1/namespaces/default/secrets/hansa-identities'
  const { body } = await first.cluster.request({ path })
  const { data } = body as { data: Record<string, string> }
  const { version, root, rotations } = parseKeys(Buffer.from(data['main.json'] ?? '', 'base64').toString())
  const entry = Buffer.from(JSON.stringify({ version, root, rotations })).toString('base64')
  const patched = await second.cluster.request({ method: 'PATCH', path, body: { data: { 'branch.json': entry } } })
  expect(patched.status).toBe(200)
  await second.side.hansa(['identity', 'create', 'branch', '--owner', 'university', '--cluster', 'second'])
  const trustDomain = async ({ side }: Side, name: string) =>
    JSON.parse((await side.hansa(['identity', 'show', name, '-o', 'json'])).stdout).status?.trustDomain
  const copied = await eventually('the second cluster publishes', async () => trustDomain(second, 'branch'))
  expect(copied).toBe(await trustDomain(first, 'main'))
})
