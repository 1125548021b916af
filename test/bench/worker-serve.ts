import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { loadavg } from 'node:os'
import { Pool } from 'undici'
import { identityModel } from '../builders/onnx-model.ts'
import { startWorker } from '../integration/serve/worker.ts'

/**
 * Requests a second and CPU a request of one worker over an Identity model, plain HTTP on loopback, client in another process
 * of the same machine: what the server itself costs, beside a bare node:http server that echoes bodies in the same run. A
 * measurement to look at, not a gate.
 */
type Load = { name: string; headers: Record<string, string>; body: Buffer }

const path = '/v2/models/echo/infer'
const seconds = 4
const concurrency = 8

function json(count: number): Load {
  const data = Array.from({ length: count }, (_, index) => Math.fround(Math.sin(index)))
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [count], data }]
  return { name: `JSON, ${count} floats`, headers: {}, body: Buffer.from(JSON.stringify({ inputs })) }
}

function binary(count: number): Load {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [count], parameters: { binary_data_size: 4 * count } }]
  const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }))
  const data = Buffer.from(Float32Array.from({ length: count }, (_, index) => Math.sin(index)).buffer)
  const headers = { 'inference-header-content-length': String(head.byteLength) }
  return { name: `binary, ${count} floats`, headers, body: Buffer.concat([head, data]) }
}

async function clientMain(): Promise<void> {
  process.on('message', async (order: { url: string; load: Load; seconds: number }) => {
    const pool = new Pool(order.url, { connections: concurrency })
    const body = Buffer.from(order.load.body)
    const headers = { 'content-type': 'application/json', ...order.load.headers }
    const end = performance.now() + order.seconds * 1000
    const latencies: number[] = []
    const loop = async () => {
      while (performance.now() < end) {
        const started = performance.now()
        const answer = await pool.request({ path, method: 'POST', headers, body })
        const bytes = await answer.body.arrayBuffer()
        if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}: ${Buffer.from(bytes).toString()}`)
        latencies.push(performance.now() - started)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, loop))
    await pool.close()
    process.send?.(latencies.sort((a, b) => a - b))
  })
}

/** User and system time of a process in microseconds, from /proc (ticks of 10 ms). */
async function cpuMicros(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function measure(client: ChildProcess, url: string, pids: readonly number[], load: Load, forSeconds: number) {
  const before = await Promise.all(pids.map(cpuMicros))
  client.send({ url, load, seconds: forSeconds })
  // The client answers with its sorted latencies in milliseconds.
  const [latencies] = (await once(client, 'message')) as [number[]]
  const after = await Promise.all(pids.map(cpuMicros))
  const cpu = after.map((micros, index) => (micros - (before[index] ?? 0)) / latencies.length)
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? Number.NaN
  return { rate: latencies.length / forSeconds, cpu, p50: at(0.5), p99: at(0.99) }
}

/** The least that a Node server can do: take a body, give it back. */
async function bareMain(): Promise<void> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      for (const chunk of chunks) response.write(chunk)
      response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo.
  process.send?.((server.address() as AddressInfo).port)
}

async function main(): Promise<void> {
  const worker = await startWorker(identityModel('FP32'))
  const client = fork(import.meta.filename, ['client'], { serialization: 'advanced' })
  const bare = fork(import.meta.filename, ['bare'])
  const [barePort] = await once(bare, 'message')
  const bareUrl = `http://127.0.0.1:${barePort}`
  try {
    const pids = [process.pid, ...worker.sessionPids()]
    console.log(`${concurrency} clients, ${seconds} s each, load average ${loadavg()[0]?.toFixed(1)}`)
    for (const load of [json(80), binary(200), json(150_000), binary(150_000)]) {
      await measure(client, worker.url, pids, load, 1.5)
      const least = await measure(client, bareUrl, [bare.pid ?? 0], load, seconds / 2)
      const { rate, cpu, p50, p99 } = await measure(client, worker.url, pids, load, seconds)
      const [server = 0, session = 0] = cpu.map(Math.round)
      console.log(
        `${load.name} (${load.body.byteLength} bytes): ${rate.toFixed(0)} requests/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, CPU a request: server ${server} us, session ${session} us; bare node:http echo ${Math.round(least.cpu[0] ?? 0)} us`,
      )
    }
  } finally {
    client.kill()
    bare.kill()
    await worker.close()
  }
}

const roles: Record<string, () => Promise<void>> = { client: clientMain, bare: bareMain }
if (import.meta.main) await (roles[process.argv[2] ?? ''] ?? main)()
