import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { createLogger, type Logger } from '@hansa/operator/process/log.ts'
import { type ServeProcessSettings, serveSettings } from '@hansa/worker/serve/settings.ts'
import { type Serve, startServe } from '@hansa/worker/serve/start-serve.ts'
import { Registry } from 'prom-client'

export type WorkerOptions = {
  /** `echo` where it does not matter. */
  modelName?: string
  limits?: Partial<ServeProcessSettings['serve']['limits']>
  timeouts?: Partial<ServeProcessSettings['serve']['timeouts']>
  batching?: ServeProcessSettings['serve']['batching']
  executionProvider?: ServeProcessSettings['serve']['executionProvider']
  env?: Record<string, string>
  mtls?: { identity: Identity; gatewayUri: string }
  log?: Logger
  /** Digest to claim instead of the file's own. */
  sha256?: string
  /** For a model that embeds texts: its settings and its tokenizer.json. */
  embedding?: { settings?: object; tokenizer: Uint8Array }
}

export type TestWorker = Serve & { registry: Registry; folder: string; terminationLog: string }

/** Starts the real server over a model's bytes, on a loopback address of its own, and waits until it is ready. */
export async function startWorker(model: Uint8Array, options: WorkerOptions = {}): Promise<TestWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-worker-'))
  const terminationLog = `${folder}-termination`
  await writeFile(join(folder, 'model.onnx'), model)
  const sha256 = options.sha256 ?? createHash('sha256').update(model).digest('hex')
  const files = [{ path: 'model.onnx', sha256, sizeBytes: model.byteLength }]
  const { embedding } = options
  if (embedding !== undefined) {
    await writeFile(join(folder, 'tokenizer.json'), embedding.tokenizer)
    const digest = createHash('sha256').update(embedding.tokenizer).digest('hex')
    files.push({ path: 'tokenizer.json', sha256: digest, sizeBytes: embedding.tokenizer.byteLength })
  }
  const settings = serveSettings({
    HANSA_SERVE: JSON.stringify({
      modelName: options.modelName ?? 'echo',
      modelVersion: '1',
      entrypoint: 'model.onnx',
      executionProvider: options.executionProvider ?? { type: 'CPU', onUnavailable: 'Fail' },
      timeouts: { requestSeconds: 20, loadSeconds: 30, drainSeconds: 10, ...options.timeouts },
      limits: { requestBytes: 4 << 20, responseBytes: 4 << 20, queueDepth: 16, inFlight: 64, ...options.limits },
      batching: options.batching,
      ...(embedding !== undefined && { embedding: { ...embedding.settings } }),
    }),
    HANSA_MODEL: JSON.stringify({
      namespace: 'test',
      name: 'echo-model',
      uid: 'uid',
      format: 'ONNX',
      files,
    }),
    HANSA_MODEL_DIR: folder,
    HANSA_TERMINATION_LOG: terminationLog,
    HANSA_LAMEDUCK_SECONDS: '0.3',
    HANSA_CPUS: '1',
    HANSA_SERVE_PORT: '0',
    HANSA_GRPC_PORT: '0',
    HANSA_PROBES_PORT: '0',
    POD_IP: '127.0.0.1',
    ...(options.mtls === undefined
      ? { HANSA_INSECURE_LOOPBACK: 'true' }
      : { HANSA_GATEWAY_URI: options.mtls.gatewayUri }),
    ...options.env,
  })
  const registry = new Registry()
  const clean = async () => {
    await rm(folder, { recursive: true, force: true })
    await rm(terminationLog, { force: true })
  }
  const serve = await startServe(settings, {
    log: options.log ?? createLogger('serve', 'silent'),
    registry,
    identity: options.mtls?.identity,
    signal: new AbortController().signal,
  }).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true })
    throw Object.assign(error as Error, { terminationLog })
  })
  return {
    ...serve,
    registry,
    folder,
    terminationLog,
    close: async () => {
      await serve.close()
      await clean()
    },
  }
}
