import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@hansa/operator/process/log.ts'
import { type SessionProcess, startSessionProcess } from '@hansa/worker/serve/session/session-process.ts'
import { identityModel } from '../builders/onnx-model.ts'

/**
 * What handing a tensor to a session process and back costs, by size: CPU of both processes and the time of one round. The
 * model is an Identity, so that nearly all of it is the hand-over. Inputs come in one piece, in pieces of 64 KiB as from a
 * socket, and copied together before. A measurement to look at, not a gate.
 */
const sizes = [
  { name: '1 KiB', bytes: 1024, rounds: 2000 },
  { name: '600 KB', bytes: 600_000, rounds: 300 },
  { name: '16 MB', bytes: 16_000_000, rounds: 25 },
]
const chunkBytes = 65_536

const ways: Record<string, (bytes: Uint8Array) => readonly Uint8Array[]> = {
  'one piece': (bytes) => [bytes],
  'pieces of 64 KiB': cut,
  'copied together': (bytes) => [Buffer.concat(cut(bytes))],
}

function cut(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.byteLength / chunkBytes)
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes))
}

/** User and system time of a process in microseconds, from /proc (ticks of 10 ms). */
async function cpuMicros(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function measure(
  session: SessionProcess,
  bytes: number,
  rounds: number,
  way: (bytes: Uint8Array) => readonly Uint8Array[],
) {
  const data = new Uint8Array(bytes)
  const round = () => {
    const pieces = way(data)
    const input = { name: 'x', datatype: 'FP32' as const, shape: [bytes / 4], byteLength: bytes, pieces }
    return session.run({ inputs: [input], outputs: ['y'] })
  }
  for (let warm = 0; warm < rounds / 10; warm++) await round()
  const [parentBefore, childBefore] = [process.cpuUsage(), await cpuMicros(session.pid ?? 0)]
  const times: number[] = []
  let runMicros = 0
  for (let index = 0; index < rounds; index++) {
    const started = performance.now()
    runMicros += (await round()).runMicros
    times.push(performance.now() - started)
  }
  const { user, system } = process.cpuUsage(parentBefore)
  const child = (await cpuMicros(session.pid ?? 0)) - childBefore
  times.sort((a, b) => a - b)
  const p50 = times[Math.floor(times.length / 2)] ?? Number.NaN
  return { parent: (user + system) / rounds, child: child / rounds, run: runMicros / rounds, p50 }
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-pipe-'))
  const modelPath = join(folder, 'model.onnx')
  await writeFile(modelPath, identityModel('FP32'))
  const command = {
    modelPath,
    provider: 'CPU',
    onUnavailable: 'Fail',
    intraOpThreads: 1,
    maxResponseBytes: 1 << 26,
  } as const
  const session = startSessionProcess({ command, env: {} }, { log: createLogger('bench', 'silent') })
  try {
    await session.loaded
    console.log(`load average ${loadavg()[0]?.toFixed(1)}`)
    for (const { name, bytes, rounds } of sizes) {
      for (const [how, way] of Object.entries(ways)) {
        const { parent, child, run, p50 } = await measure(session, bytes, rounds, way)
        console.log(
          `${name}, ${how}: ${p50.toFixed(2)} ms a round, CPU server ${parent.toFixed(0)} us, session ${child.toFixed(0)} us (${run.toFixed(0)} us of it the model's wall time)`,
        )
      }
    }
  } finally {
    session.kill()
    await session.exited
    await rm(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) await main()
