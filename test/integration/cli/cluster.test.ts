import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { inferenceServiceReasons } from '@hansa/operator/api/inference-service-reasons.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { installDefinitions } from '../../cluster/definitions.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'

const root = resolve(import.meta.dirname, '../../..')
const script = join(root, 'operator/src/cli/main.ts')
const namespace = 'digits'

let owner: Owner | undefined
let folder = ''
const started = () => {
  if (owner === undefined) throw new Error('the control plane did not start')
  return owner
}

type Result = { code: number; stdout: string; stderr: string }

function hansa(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  return new Promise((done) => {
    const options = { timeout: 60_000, env: { ...process.env, KUBECONFIG: started().kubeconfigPath, ...env } }
    execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 128
      done({ code, stdout, stderr })
    })
  })
}

async function patchStatus(name: string, status: object): Promise<void> {
  const path = `/apis/hansa.dev/v1alpha1/namespaces/${namespace}/inferenceservices/${name}/status`
  const answer = await started().request({ method: 'PATCH', path, body: { status } })
  expect(answer.status).toBe(200)
}

const condition = (type: string, status: string, reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
})

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-cli-'))
  owner = await startOwner({ name: 'cli' })
})
afterAll(async () => {
  await owner?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('help takes less than 300 ms of CPU', async () => {
  // CPU, not the clock on the wall: what is measured is the command, not what else the machine does.
  const report =
    "process.on('exit', () => { const { user, system } = process.cpuUsage(); console.error(user + system) })"
  const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(report)}`
  const milliseconds: number[] = []
  for (let run = 0; run < 3; run += 1) {
    const { code, stdout, stderr } = await hansa(['--help'], { NODE_OPTIONS })
    expect({ code, usage: stdout.includes('Usage: kubectl-hansa') }).toEqual({ code: 0, usage: true })
    milliseconds.push(Number(stderr) / 1000)
  }
  expect(Math.min(...milliseconds)).toBeGreaterThan(1)
  expect(Math.min(...milliseconds)).toBeLessThan(300)
})

test('check says what is not installed and how to mend it', async () => {
  const { code, stdout } = await hansa(['check'])
  expect(code).toBe(1)
  expect(stdout).toMatch(/ok +API server: .*v1\./)
  expect(stdout).toContain('FAILED   models.hansa.dev: the API server does not serve v1alpha1 of it')
  expect(stdout).toContain('fix: Install Hansa: helm install')
  expect(stdout).toContain('there is no Deployment hansa-gateway in namespace hansa-system')
})

test('list before installation says so', async () => {
  const { code, stderr } = await hansa(['list', '-A'])
  expect(code).toBe(3)
  expect(stderr).toContain('hint: Is Hansa installed? kubectl hansa check')
})

test('list shows services with their conditions, in a table, as JSON and as YAML', async () => {
  await installDefinitions(started())
  expect((await hansa(['list'])).stderr).toContain('There is no InferenceService in namespace default')
  expect((await started().kubectl(['apply', '-f', join(root, 'examples/digits.yaml')])).code).toBe(0)
  await patchStatus('digits', {
    url: 'https://gateway.example/digits/digits',
    replicas: 2,
    readyReplicas: 1,
    revision: 'abcdef01',
    traffic: [{ revision: 'abcdef01', percent: 100 }],
    conditions: [
      condition('ModelVerified', 'True', 'Verified', ''),
      condition('WorkersReady', 'False', 'Unschedulable', 'no node has a GPU \u001b[2J left'),
      condition('Routable', 'True', 'Routable', ''),
      condition('Ready', 'False', 'Unschedulable', 'no node has a GPU left'),
    ],
  })
  const { code, stdout } = await hansa(['list', '--all-namespaces'])
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^NAMESPACE +NAME +READY +REASON +MODELVERIFIED +WORKERSREADY +ROUTABLE +WORKERS +MODEL +URL +AGE\n/,
  )
  expect(stdout).toMatch(
    /\ndigits +digits +False +Unschedulable +True +False +True +1\/2 +digits-v1 +https:\/\/gateway.example\/digits\/digits +[0-9]+s\n/,
  )
  const json = JSON.parse((await hansa(['list', '-n', namespace, '-o', 'json'])).stdout)
  expect(json.items[0].metadata.name).toBe('digits')
  expect(parse((await hansa(['list', '-n', namespace, '-o', 'yaml'])).stdout)).toEqual(json)
})

test('status shows the tree from model to pods with remedies, and ends with 1 while not Ready', async () => {
  const labels = {
    'app.kubernetes.io/component': 'worker',
    'hansa.dev/inference-service': 'digits',
    'hansa.dev/revision': 'abcdef01',
  }
  const template = {
    metadata: { labels },
    spec: {
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'serve',
          image: 'worker',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  }
  const deployment = await started().request({
    method: 'POST',
    path: `/apis/apps/v1/namespaces/${namespace}/deployments`,
    body: {
      metadata: { name: 'digits-abcdef01', labels },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    },
  })
  expect(deployment.status).toBe(201)
  await expect
    .poll(async () => (await hansa(['status', 'digits', '-n', namespace])).stdout.match(/ pod digits-/g)?.length, {
      timeout: 30_000,
      interval: 500,
    })
    .toBe(2)
  const { code, stdout } = await hansa(['status', 'digits', '-n', namespace])
  expect(code).toBe(1)
  expect(stdout).toContain('InferenceService digits/digits')
  expect(stdout).toContain('+ ModelVerified: Verified')
  expect(stdout).toContain('x WorkersReady: Unschedulable: no node has a GPU ?[2J left')
  expect(stdout).toContain(inferenceServiceReasons.WorkersReady.Unschedulable.remedy)
  expect(stdout).toContain('Model digits-v1')
  expect(stdout).toContain('revision abcdef01: 100 % of requests, 0 of 2 ready')
  expect(stdout).toMatch(/Unschedulable: the scheduler finds no node for a worker/)
  expect(stdout).toMatch(/x pod digits-abcdef01-[a-z0-9-]+: Pending, not ready/)
  expect(stdout).not.toContain('\u001b')
})

test('who may not read pods still sees the service', async () => {
  const kubectl = (args: string[]) => started().kubectl(args)
  await kubectl([
    'create',
    'role',
    'viewer',
    '-n',
    namespace,
    '--verb=get,list',
    '--resource=inferenceservices.hansa.dev,models.hansa.dev',
  ])
  await kubectl([
    'create',
    'rolebinding',
    'viewer',
    '-n',
    namespace,
    '--role=viewer',
    `--serviceaccount=${namespace}:reader`,
  ])
  const token = await started().createToken('reader', namespace)
  const kubeconfig = join(folder, 'reader.kubeconfig')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'reader',
      clusters: [
        {
          name: 'c',
          cluster: {
            server: started().serverUrl,
            'certificate-authority-data': Buffer.from(started().caPem).toString('base64'),
          },
        },
      ],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'reader', context: { cluster: 'c', user: 'u', namespace } }],
    }),
  )
  const { code, stdout } = await hansa(['status', 'digits', '--kubeconfig', kubeconfig])
  expect(code).toBe(1)
  expect(stdout).toContain('You may not read the Deployments and Pods of this namespace')
  const check = await hansa(['check', '--kubeconfig', kubeconfig])
  expect(check.stdout).toContain('unknown  hansa-operator: you may not read Deployments in namespace hansa-system')
  const refused = await hansa(['list', '-A', '--kubeconfig', kubeconfig])
  expect({ code: refused.code, hint: refused.stderr.includes('hint: Ask the cluster admin') }).toEqual({
    code: 3,
    hint: true,
  })
})

test('each failure has its exit code and a hint', async () => {
  const missing = await hansa(['status', 'nothing', '-n', namespace])
  expect({ code: missing.code, said: missing.stderr.includes('there is no InferenceService nothing') }).toEqual({
    code: 4,
    said: true,
  })
  const noFile = await hansa(['list', '--kubeconfig', join(folder, 'none')])
  expect({ code: noFile.code, hint: noFile.stderr.includes('hint: Name one') }).toEqual({ code: 3, hint: true })
  const noContext = await hansa(['list', '--context', 'other'])
  expect({ code: noContext.code, named: noContext.stderr.includes('other') }).toEqual({ code: 3, named: true })
  const nowhere = join(folder, 'nowhere.kubeconfig')
  await writeFile(
    nowhere,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'x',
      clusters: [{ name: 'x', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'x', user: { token: 'x' } }],
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    }),
  )
  expect((await hansa(['list', '--kubeconfig', nowhere])).code).toBe(3)
  const check = await hansa(['check', '--kubeconfig', nowhere])
  expect({ code: check.code, fix: check.stdout.includes('fix: Check --context') }).toEqual({ code: 1, fix: true })
  expect((await hansa(['list', '--no-such-option'])).code).toBe(2)
  expect((await hansa(['list', '-o', 'xml'])).code).toBe(2)
})

test('it is a kubectl plugin', async () => {
  await symlink(script, join(folder, 'kubectl-hansa'))
  const path = [folder, dirname(process.execPath), process.env.PATH].join(delimiter)
  const { code, stdout } = await started().kubectl(['hansa', 'version'], { env: { PATH: path } })
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^kubectl-hansa \d+\.\d+\.\d+, hansa\.dev\/v1alpha1\n$/),
  })
})
