import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { identityModel } from '../../builders/onnx-model.ts'
import { inferJson, outputs } from './client.ts'

const main = new URL('../../../worker-image/src/main.ts', import.meta.url).pathname

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Starts `serve` as its container does; everything is gone when `use` has returned. */
async function withProcess(
  type: 'CPU' | 'CUDA',
  use: (worker: {
    url: string
    probes: string
    pid: number
    exit: Promise<unknown[]>
    log(): string
    folder: string
  }) => Promise<void>,
  isGuest = false,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-process-'))
  const model = identityModel('FP32')
  await writeFile(join(folder, 'model.onnx'), model)
  const [port, probesPort] = [await freePort(), await freePort()]
  const sha256 = createHash('sha256').update(model).digest('hex')
  const env = {
    POD_IP: '127.0.0.1',
    HANSA_INSECURE_LOOPBACK: 'true',
    HANSA_SERVE_PORT: String(port),
    HANSA_GRPC_PORT: '0',
    HANSA_PROBES_PORT: String(probesPort),
    HANSA_MODEL_DIR: folder,
    HANSA_TERMINATION_LOG: join(folder, 'termination'),
    HANSA_LAMEDUCK_SECONDS: '0.5',
    HANSA_CPUS: '1',
    ...(isGuest && { HANSA_LEASE_FILE: join(folder, 'lease.json') }),
    HANSA_MODEL: JSON.stringify({
      namespace: 'a',
      name: 'm',
      uid: 'u',
      format: 'ONNX',
      files: [{ path: 'model.onnx', sha256, sizeBytes: model.byteLength }],
    }),
    HANSA_SERVE: JSON.stringify({
      modelName: 'echo',
      modelVersion: '1',
      entrypoint: 'model.onnx',
      executionProvider: { type, onUnavailable: 'Fail' },
      timeouts: {},
      limits: {},
    }),
  }
  const child = spawn(process.execPath, [main, 'serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stdout.on('data', (text: Buffer) => {
    log += text
  })
  const exit = once(child, 'exit')
  try {
    const [url, probes] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${probesPort}`]
    await use({ url, probes, pid: child.pid ?? 0, exit, log: () => log, folder })
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

async function ready(probes: string): Promise<void> {
  const end = performance.now() + 30_000
  while ((await fetch(`${probes}/readyz`).catch(() => undefined))?.status !== 200) {
    if (performance.now() > end) throw new Error('not ready within 30 s')
    await delay(50)
  }
}

/** Replaces the file as a whole, as a kubelet does. */
async function writeLease(folder: string, renewals: number, ttlSeconds: number): Promise<void> {
  const expires = new Date(Date.now() + 600_000).toISOString()
  await writeFile(join(folder, 'lease.new'), JSON.stringify({ epoch: 1, renewals, ttlSeconds, expires }))
  await rename(join(folder, 'lease.new'), join(folder, 'lease.json'))
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}

const isAlive = (pid: number) => {
  try {
    return kill(pid, 0)
  } catch {
    return false // ESRCH: there is no such process.
  }
}

test('the process becomes ready, serves, and exits 0 on SIGTERM without leaving a session behind', () =>
  withProcess('CPU', async ({ url, probes, pid, exit }) => {
    await ready(probes)
    const answer = await inferJson(url, [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }])
    expect(outputs(answer)[0]?.data).toEqual([1, 2])
    const sessions = await childrenOf(pid)
    expect(sessions).toHaveLength(1)
    kill(pid, 'SIGTERM')
    expect(await exit).toEqual([0, null])
    expect(sessions.some(isAlive)).toBe(false)
  }))

test('a session ends with a worker that was killed', () =>
  withProcess('CPU', async ({ probes, pid, exit }) => {
    await ready(probes)
    const sessions = await childrenOf(pid)
    kill(pid, 'SIGKILL')
    await exit
    const end = performance.now() + 10_000
    while (sessions.some(isAlive) && performance.now() < end) await delay(50)
    expect(sessions.some(isAlive)).toBe(false)
  }))

test('without the wanted execution provider the process exits 1 and says why where the operator reads it', () =>
  withProcess('CUDA', async ({ exit, folder }) => {
    expect(await exit).toEqual([1, null])
    const written: unknown = JSON.parse(await readFile(join(folder, 'termination'), 'utf8'))
    expect(written).toEqual({ reason: 'ExecutionProviderUnavailable', message: expect.stringContaining('CUDA') })
  }))

test('a guest serves only while its lease lasts: nothing without one, and at the end it stops and exits by itself', () =>
  withProcess(
    'CPU',
    async ({ url, probes, pid, exit, folder, log }) => {
      const input = [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }]
      const end = performance.now() + 30_000
      while ((await fetch(`${probes}/livez`).catch(() => undefined))?.status !== 200) {
        if (performance.now() > end) throw new Error('not alive within 30 s')
        await delay(50)
      }
      const unready = await fetch(`${probes}/readyz`)
      expect([unready.status, await unready.text()]).toEqual([503, 'there is no lease'])
      expect((await inferJson(url, input)).status).toBe(503)
      expect(await childrenOf(pid)).toEqual([])

      // Longer than loading takes on a slow machine; the renewal that follows ends sooner.
      await writeLease(folder, 0, 60)
      await ready(probes)
      expect(outputs(await inferJson(url, input))[0]?.data).toEqual([1, 2])
      const sessions = await childrenOf(pid)
      const renewedAt = performance.now()
      await writeLease(folder, 1, 2)
      const refused = await until(async () => {
        const answer = await inferJson(url, input).catch(() => undefined)
        return answer?.status === 200
          ? undefined
          : { status: answer?.status, connection: answer?.headers.get('connection') }
      })
      expect(performance.now() - renewedAt).toBeGreaterThan(1900)
      // Either it still answers, that it ends, or it has ended.
      if (refused.status !== undefined) expect(refused).toEqual({ status: 503, connection: 'close' })
      await writeLease(folder, 2, 60)
      expect(await exit).toEqual([0, null])
      expect(sessions.some(isAlive)).toBe(false)
      expect(log()).toContain('the lease is over')
    },
    true,
  ))

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 30_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) throw new Error('not within 30 s')
    await delay(20)
  }
}
