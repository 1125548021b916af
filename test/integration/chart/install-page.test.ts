import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureTools } from '../../cluster/assets.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
let owner: Owner | undefined
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-install-page-'))
  await symlink(join(repository, 'charts'), join(folder, 'charts'))
  await writeFile(join(folder, 'my-values.yaml'), 'gateway: { externalUrl: "https://ai.stmary.example" }\n')
  owner = await startOwner({ name: 'install-page' })
})
afterAll(async () => {
  await owner?.stop()
  await rm(folder, { recursive: true })
})

test('the commands of docs/install.md work one after the other', async () => {
  const page = await readFile(join(repository, 'docs/install.md'), 'utf8')
  const blocks = [...page.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, block = '']) => block)
  const commands = blocks.flatMap((block) => block.split('\n').map((line) => line.trim())).filter((line) => line !== '')
  expect(commands.length).toBeGreaterThan(10)
  await sh('kubectl create namespace radiology')
  for (const command of commands) {
    // No images are built here, and no node runs the pods.
    if (command.startsWith('docker ') || command.startsWith('kubectl wait ')) continue
    if (command.includes('configmap hansa-trust')) {
      await sh('kubectl create configmap hansa-trust --namespace hansa-system --from-literal=ca.pem=certificate')
    }
    await sh(command)
  }
  expect(await readFile(join(folder, 'hansa-ca.pem'), 'utf8')).toBe('certificate')
  expect(await sh('kubectl get crds,clusterroles,clusterrolebindings -o name')).not.toMatch(/hansa/)
  expect(await sh('kubectl get namespaces -o name')).not.toContain('hansa-system')
}, 300_000)

async function sh(command: string): Promise<string> {
  const { kubectl, helm } = await ensureTools()
  const path = [dirname(kubectl), dirname(helm), process.env.PATH].join(delimiter)
  const child = spawn('sh', ['-c', command], {
    cwd: folder,
    env: { ...process.env, PATH: path, KUBECONFIG: owner?.kubeconfigPath ?? '/dev/null', HOME: folder },
    timeout: 120_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    output.stdout += data
  })
  child.stderr.on('data', (data) => {
    output.stderr += data
  })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  expect({ command, code, stderr: code === 0 ? '' : output.stderr }).toEqual({ command, code: 0, stderr: '' })
  return output.stdout
}
