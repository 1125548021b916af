import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../cluster/is-running.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { type ProcessNode, startProcessNode } from '../../cluster/process-node/process-node.ts'
import { eventually } from '../cluster/eventually.ts'
import { create, getPod, images, isReady, logOf, mainStatus, scriptPod } from './harness.ts'

let owner: Owner

beforeAll(async () => {
  owner = await startOwner({
    name: 'machines',
    flags: { controllerManager: ['--node-monitor-grace-period=4s', '--node-monitor-period=1s'] },
  })
})

afterAll(async () => {
  await owner?.stop()
})

// A parent with a child that ignores SIGTERM: what most easily survives.
const family = `trap '' TERM; sh -c "trap '' TERM; while :; do sleep 0.2; done" & while :; do sleep 0.2; done`

async function startOn(nodeName: string, podName: string): Promise<void> {
  await create(owner, scriptPod(podName, family, { nodeName, restartPolicy: 'Always' }))
  await eventually(async () => expect(isReady(await getPod(owner, podName))).toBe(true), 20)
}

/** All processes that mention a node's folder in their environment. */
async function processesOf(dir: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const environments = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')))
  return pids.filter((_, index) => environments[index]?.includes(dir)).filter(isRunning)
}

async function readyCondition(name: string): Promise<string | undefined> {
  const { body } = await owner.request({ path: `/api/v1/nodes/${name}` })
  const { status } = body as { status: { conditions: { type: string; status: string }[] } }
  return status.conditions.find(({ type }) => type === 'Ready')?.status
}

test('a stopped node leaves neither process nor folder', async () => {
  const node = await startProcessNode({ owner, name: 'brief', images })
  await startOn('brief', 'stopped')
  expect((await processesOf(node.dir)).length).toBeGreaterThanOrEqual(2)
  await node.stop()
  expect(await processesOf(node.dir)).toEqual([])
  expect(existsSync(node.dir)).toBe(false)
})

test('a node whose process is killed leaves neither process nor folder', async () => {
  const name = 'doomed'
  const credential = await owner.issueCertificate({
    commonName: `system:node:${name}`,
    organizations: ['system:nodes'],
  })
  const program = spawn(process.execPath, [join(import.meta.dirname, 'run-node.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  program.stdin.end(JSON.stringify({ serverUrl: owner.serverUrl, caPem: owner.caPem, name, credential }))
  const [line] = (await once(createInterface(program.stdout), 'line')) as [string]
  const { dir } = JSON.parse(line) as { dir: string }
  await startOn(name, 'orphaned')
  expect((await processesOf(dir)).length).toBeGreaterThanOrEqual(2)
  program.kill('SIGKILL')
  await eventually(async () => {
    expect(await processesOf(dir)).toEqual([])
    expect(existsSync(dir)).toBe(false)
  })
})

test('a node that crashed and comes back starts its containers anew and counts that as a restart', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-crash-'))
  const first = await startProcessNode({ owner, name: 'phoenix', images, dir })
  await startOn('phoenix', 'survivor')
  await create(owner, scriptPod('once', 'exec sleep 1000', { nodeName: 'phoenix' }))
  await eventually(async () => expect(isReady(await getPod(owner, 'once'))).toBe(true))
  await first.crash()
  expect(await processesOf(dir)).toEqual([])
  expect(mainStatus(await getPod(owner, 'survivor')).state.running).toBeDefined()

  const second = await startProcessNode({ owner, name: 'phoenix', images, dir })
  await eventually(async () => {
    const survivor = mainStatus(await getPod(owner, 'survivor'))
    expect(survivor.restartCount).toBe(1)
    expect(survivor.ready).toBe(true)
    expect(survivor.lastState.terminated).toMatchObject({ exitCode: 137, reason: 'ContainerStatusUnknown' })
    const once = await getPod(owner, 'once')
    expect(once.status?.phase).toBe('Failed')
    expect(mainStatus(once).state.terminated?.exitCode).toBe(137)
  })
  await second.stop()
  await rm(dir, { recursive: true })
})

test('a frozen node turns NotReady while its containers go on, and is Ready again when it thaws', async () => {
  const node = await startProcessNode({ owner, name: 'polar', images, heartbeatSeconds: 1 })
  await startOn('polar', 'hibernating')
  const pid = node.pods()[0]?.containers[0]?.pid ?? 0
  node.freeze()
  await eventually(async () => expect(await readyCondition('polar')).toBe('Unknown'), 30)
  await expect(logOf(owner, 'hibernating')).rejects.toThrow()
  expect(isRunning(pid)).toBe(true)
  node.thaw()
  await eventually(async () => expect(await readyCondition('polar')).toBe('True'), 15)
  await eventually(async () => expect(isReady(await getPod(owner, 'hibernating'))).toBe(true), 15)
  await node.stop()
})

test('containers go on and are restarted while the API server is away, and it learns of that later', async () => {
  const node: ProcessNode = await startProcessNode({ owner, name: 'alone', images, heartbeatSeconds: 1 })
  await startOn('alone', 'steady')
  await owner.parts.apiserver.kill()
  expect(node.killContainer('default', 'steady', 'main')).toBe(true)
  await eventually(() => expect(node.pods()[0]?.containers[0]?.pid).toBeGreaterThan(0))
  await owner.parts.apiserver.start()
  await eventually(async () => {
    const status = mainStatus(await getPod(owner, 'steady'))
    expect(status.restartCount).toBe(1)
    expect(status.ready).toBe(true)
  }, 20)
  await node.stop()
})
