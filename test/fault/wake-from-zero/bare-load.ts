import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { cacheFolder } from '../../cluster/hansa/cache-folder.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { freePorts, releasePorts } from '../../cluster/ports.ts'

const example = join(repository, 'examples/models/digits/v1')
const patienceMilliseconds = 60_000

/** Seconds from the start of a `serve` process, without Kubernetes, certificate or network, to a loaded model. */
export async function bareLoad(): Promise<number> {
  const ports = await freePorts(3)
  const [rest = 0, grpc = 0, probes = 0] = ports
  const folder = await mkdtemp(join(tmpdir(), 'hansa-bare-'))
  const sha256 = createHash('sha256')
    .update(await readFile(join(example, 'model.onnx')))
    .digest('hex')
  const sizeBytes = (await readFile(join(example, 'model.onnx'))).length
  const agent = new Agent()
  const began = performance.now()
  const child = spawn(process.execPath, [join(repository, 'worker-image/src/main.ts'), 'serve'], {
    stdio: 'ignore',
    env: {
      NODE_COMPILE_CACHE: cacheFolder('node-compile-cache'),
      PATH: process.env.PATH,
      POD_NAME: 'bare',
      POD_NAMESPACE: 'default',
      POD_IP: '127.0.0.1',
      HANSA_INSECURE_LOOPBACK: 'true',
      HANSA_SERVE_PORT: String(rest),
      HANSA_GRPC_PORT: String(grpc),
      HANSA_PROBES_PORT: String(probes),
      HANSA_CPUS: '1',
      HANSA_STATE_DIR: folder,
      HANSA_TERMINATION_LOG: join(folder, 'termination-log'),
      HANSA_MODEL_DIR: example,
      HANSA_MODEL: JSON.stringify({
        ...{ namespace: 'default', name: 'digits', uid: 'bare', format: 'ONNX' },
        files: [{ path: 'model.onnx', sha256, sizeBytes }],
      }),
      HANSA_SERVE: JSON.stringify({
        ...{ modelName: 'bare', modelVersion: '1', entrypoint: 'model.onnx' },
        executionProvider: { type: 'CPU', onUnavailable: 'Fail' },
        timeouts: { requestSeconds: 60, loadSeconds: 60, drainSeconds: 0 },
        limits: { requestBytes: 1 << 20, responseBytes: 1 << 20, queueDepth: 100, inFlight: 100, held: 100 },
      }),
    },
  })
  const exited = once(child, 'exit')
  try {
    while (performance.now() - began < patienceMilliseconds) {
      if (child.exitCode !== null) throw new Error(`serve ended with code ${child.exitCode}`)
      const status = await request(`http://127.0.0.1:${probes}/readyz`, { dispatcher: agent })
        .then(async (answer) => {
          await answer.body.dump()
          return answer.statusCode
        })
        .catch(() => undefined)
      if (status === 200) return (performance.now() - began) / 1_000
      await sleep(10)
    }
    throw new Error('serve was not ready within a minute')
  } finally {
    child.kill('SIGKILL')
    await exited
    await agent.destroy()
    releasePorts(ports)
    await rm(folder, { recursive: true, force: true })
  }
}
