import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { suite } from '../../bad-input/requests/worker-cases.ts'
import { runSuite } from '../../bad-input/run-suite.ts'
import { identityModel } from '../../builders/onnx-model.ts'
import { call, inferJson } from './client.ts'
import { startWorker } from './worker.ts'

test('every bad request gets its documented refusal and breaks nothing', async () => {
  const result = await runSuite(suite, () => undefined)
  expect(result.failures).toEqual([])
  expect([result.letThrough, result.crashed, result.refused]).toEqual([0, 0, suite.cases.length])
  expect(suite.cases.length).toBeGreaterThan(100)
})

test('heads that trickle are cut off while others are served', async () => {
  const worker = await startWorker(identityModel('FP32'))
  const { hostname, port } = new URL(worker.url)
  const slow = Array.from({ length: 50 }, () => connect(Number(port), hostname))
  const closed = slow.map(
    (socket) => new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve())),
  )
  const trickle = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write('x')
  }, 500)
  try {
    for (const socket of slow) socket.write('POST /v2/models/echo/infer HTTP/1.1\r\nx-')
    await delay(1000)
    expect((await inferJson(worker.url, [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }])).status).toBe(200)
    await Promise.race([
      Promise.all(closed),
      delay(20_000, undefined, { ref: false }).then(() => Promise.reject(new Error('still open'))),
    ])
    expect((await call(worker.url, '/v2/health/ready')).status).toBe(200)
  } finally {
    clearInterval(trickle)
    for (const socket of slow) socket.destroy()
    await worker.close()
  }
})

test('neither payloads nor names from requests get into the log', async () => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const worker = await startWorker(identityModel('BYTES'), { log })
  try {
    for (const [name, data] of [
      ['x', 'canary-value'],
      ['canary-name', 'canary-value'],
      ['x', 'canary\0value'],
    ]) {
      await inferJson(worker.url, [{ name: name ?? '', datatype: 'BYTES', shape: [1], data: [data] }])
    }
    await call(worker.url, '/v2/models/echo/infer', { body: '{"canary' })
  } finally {
    await worker.close()
  }
  expect(lines.length).toBeGreaterThan(4)
  expect(lines.join('')).not.toContain('canary')
})
