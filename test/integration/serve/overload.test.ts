import { once } from 'node:events'
import { connect } from 'node:net'
import { kill } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { growModel, slowModel } from '../../builders/onnx-model.ts'
import { type Answer, call, inferJson, outputs } from './client.ts'
import { startWorker, type TestWorker } from './worker.ts'

/** Turns of the slow model that take a second here or longer, found once. */
let turnsPerSecond = 0

async function slowWorker(options: Parameters<typeof startWorker>[1] = {}): Promise<TestWorker> {
  const worker = await startWorker(slowModel(), options)
  // The fastest of some, so that a run of so many seconds takes that long at least, on a busy machine longer.
  const rounds = turnsPerSecond === 0 ? 4 : 0
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    expect((await run(worker, 100_000)).status).toBe(200)
    turnsPerSecond = Math.max(turnsPerSecond, Math.round((100_000 / (performance.now() - started)) * 1000))
  }
  return worker
}

function run(
  worker: TestWorker,
  turns: number,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const inputs = [
    { name: 'n', datatype: 'INT64', shape: [], data: [turns] },
    { name: 'x', datatype: 'FP32', shape: [1], data: [1] },
  ]
  return inferJson(worker.url, inputs, {}, { headers, ...(signal === undefined ? {} : { signal }) })
}
const runSeconds = (worker: TestWorker, seconds: number, headers?: Record<string, string>, signal?: AbortSignal) =>
  run(worker, Math.round(turnsPerSecond * seconds), headers, signal)

async function eventually(check: () => Promise<boolean>, seconds = 15): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s`)
    await delay(50)
  }
}
const readyStatus = async (worker: TestWorker) => (await fetch(`${worker.probesUrl}/readyz`)).status
const count = async (worker: TestWorker, name: string) =>
  (await worker.registry.getSingleMetric(name)?.get())?.values[0]?.value ?? 0

test('a full queue answers 429 with Retry-After at once, and what waits is answered', async () => {
  const worker = await slowWorker({ limits: { queueDepth: 3 } })
  try {
    const first = runSeconds(worker, 1.5)
    await delay(200)
    const waiting = [1, 2, 3].map(() => run(worker, 10))
    await delay(200)
    const started = performance.now()
    const refused = await run(worker, 10)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(performance.now() - started).toBeLessThan(500)
    for (const answer of await Promise.all([first, ...waiting])) expect(answer.status).toBe(200)
  } finally {
    await worker.close()
  }
})

test('a passed deadline answers 504: running, the run goes on; waiting, it is never run', async () => {
  const worker = await slowWorker()
  try {
    const before = await count(worker, 'nv_inference_exec_count')
    const running = runSeconds(worker, 2, { 'x-hansa-timeout-ms': '400' })
    await delay(100)
    const started = performance.now()
    const waiting = run(worker, 10, { 'x-hansa-timeout-ms': '200' })
    expect((await waiting).status).toBe(504)
    expect((await running).status).toBe(504)
    expect(performance.now() - started).toBeLessThan(1500)
    expect((await run(worker, 10)).status).toBe(200)
    expect((await count(worker, 'nv_inference_exec_count')) - before).toBe(2)
    expect(await count(worker, 'hansa_worker_session_restarts_total')).toBe(0)
  } finally {
    await worker.close()
  }
})

test('a client that leaves while it waits is dropped from the queue', async () => {
  const worker = await slowWorker()
  try {
    const before = await count(worker, 'nv_inference_exec_count')
    const first = runSeconds(worker, 1)
    await delay(100)
    const leave = new AbortController()
    const gone = run(worker, 10, {}, leave.signal).catch(() => undefined)
    await delay(100)
    leave.abort()
    await gone
    expect((await first).status).toBe(200)
    expect((await run(worker, 10)).status).toBe(200)
    expect((await count(worker, 'nv_inference_exec_count')) - before).toBe(2)
  } finally {
    await worker.close()
  }
})

test('kill -9 of the session: its request gets 500, waiting ones are answered after the restart, readiness drops meanwhile', async () => {
  const worker = await slowWorker()
  try {
    const running = runSeconds(worker, 5)
    await delay(300)
    const waiting = run(worker, 10)
    await delay(100)
    const [pid = 0] = worker.sessionPids()
    kill(pid, 'SIGKILL')
    const lost = await running
    expect(lost.status).toBe(500)
    expect(lost.json).toEqual({ error: 'the session process ended while it ran this request' })
    expect(await readyStatus(worker)).toBe(503)
    expect((await call(worker.url, '/v2/health/ready')).status).toBe(503)
    const refused = await run(worker, 10)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(outputs(await waiting)).toMatchObject([{ data: [11] }])
    await eventually(async () => (await readyStatus(worker)) === 200)
    expect(worker.sessionPids()).not.toContain(pid)
    expect(await count(worker, 'hansa_worker_session_restarts_total')).toBe(1)
  } finally {
    await worker.close()
  }
})

test('a run that outlasts the request time and five seconds more gets its session killed and started again', async () => {
  const worker = await slowWorker({ timeouts: { requestSeconds: 1 } })
  try {
    const [pid] = worker.sessionPids()
    const endless = await runSeconds(worker, 600)
    expect(endless.status).toBe(504)
    await eventually(async () => (await count(worker, 'hansa_worker_session_restarts_total')) === 1, 20)
    await eventually(async () => (await readyStatus(worker)) === 200)
    expect(worker.sessionPids()).not.toContain(pid)
    expect((await run(worker, 10)).status).toBe(200)
  } finally {
    await worker.close()
  }
})

test('draining loses no request: not ready at once, lame duck serves, then 503, then the end', async () => {
  const worker = await slowWorker({ env: { HANSA_LAMEDUCK_SECONDS: '1' } })
  const running = [runSeconds(worker, 4), run(worker, 10), run(worker, 10)]
  await delay(200)
  const closed = worker.close()
  await eventually(async () => (await readyStatus(worker)) === 503, 1)
  const lame = run(worker, 10)
  await delay(1100)
  const late = await run(worker, 10)
  expect(late.status).toBe(503)
  expect(late.headers.get('connection')).toBe('close')
  for (const answer of await Promise.all([...running, lame])) {
    expect(answer.status).toBe(200)
    expect(outputs(answer)).toHaveLength(1)
  }
  await closed
  await expect(call(worker.url, '/v2/health/live')).rejects.toThrow()
})

test('draining waits for an answer that its client takes slowly', async () => {
  const worker = await startWorker(growModel(), { limits: { responseBytes: 64 << 20 } })
  const floats = 12_000_000
  const body = JSON.stringify({
    inputs: [{ name: 'shape', datatype: 'INT64', shape: [1], data: [floats] }],
    parameters: { binary_data_output: true },
  })
  const { hostname, port } = new URL(worker.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(
    `POST /v2/models/echo/infer HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  await once(socket, 'readable')
  const closed = worker.close()
  await delay(1000)
  let received = 0
  for await (const chunk of socket) received += (chunk as Buffer).byteLength // a socket without encoding gives Buffers
  expect(received).toBeGreaterThan(floats * 4)
  await closed
})

test('two sessions run two requests at once', async () => {
  const worker = await slowWorker({ env: { HANSA_SESSIONS: '2', HANSA_CPUS: '2' } })
  try {
    expect(new Set(worker.sessionPids()).size).toBe(2)
    const long = runSeconds(worker, 3)
    await delay(200)
    let longDone = false
    void long.then(() => (longDone = true))
    expect((await run(worker, 10)).status).toBe(200)
    expect(longDone).toBe(false)
    expect((await long).status).toBe(200)
  } finally {
    await worker.close()
  }
})
