import { availableParallelism } from 'node:os'
import { serveSettingsSchema, workerModelSchema } from '@hansa/operator/api/index.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'
import { otlpEndpoint } from '@hansa/operator/process/tracing.ts'
import { z } from 'zod'

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'not valid JSON' })
    return z.NEVER
  }
})
const port = z.coerce.number().int().min(0).max(65_535)
const count = z.coerce.number().int().min(1)

const envSchema = z
  .object({
    HANSA_SERVE: json.pipe(serveSettingsSchema),
    HANSA_MODEL: json.pipe(workerModelSchema),
    HANSA_MODEL_DIR: z.string().min(1),
    HANSA_GATEWAY_URI: z.string().startsWith('spiffe://').optional(),
    /** Plain HTTP for benches and tests; only on a loopback address. */
    HANSA_INSECURE_LOOPBACK: z.enum(['true', 'false']).default('false'),
    POD_IP: z.string().min(1),
    HANSA_SERVE_PORT: port.default(8443),
    HANSA_GRPC_PORT: port.default(8444),
    HANSA_PROBES_PORT: port.default(8081),
    HANSA_CPUS: z.coerce.number().positive().max(1024).optional(),
    HANSA_SESSIONS: count.max(64).optional(),
    HANSA_OTLP_ENDPOINT: otlpEndpoint.optional(),
    POD_NAME: z.string().default('hansa-worker'),
    HANSA_LAMEDUCK_SECONDS: z.coerce.number().min(0).max(300).default(2),
    HANSA_BUFFER_BYTES: count.max(2 ** 40).optional(),
    HANSA_TERMINATION_LOG: z.string().default('/dev/termination-log'),
    HANSA_LEASE_FILE: z.string().min(1).optional(),
    LD_LIBRARY_PATH: z.string().optional(),
    CUDA_VISIBLE_DEVICES: z.string().optional(),
    NVIDIA_VISIBLE_DEVICES: z.string().optional(),
  })
  .superRefine((env, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message })
    if (env.HANSA_INSECURE_LOOPBACK === 'true') {
      if (!isLoopback(env.POD_IP)) issue('HANSA_INSECURE_LOOPBACK needs a loopback address in POD_IP')
    } else if (env.HANSA_GATEWAY_URI === undefined) {
      issue('HANSA_GATEWAY_URI is missing')
    }
    if (env.HANSA_MODEL.format !== 'ONNX') issue('only models of format ONNX can be served')
  })

/** Everything `serve` is told. */
export type ServeProcessSettings = ReturnType<typeof serveSettings>

/** Reads the settings of `serve` from environment variables. Throws HansaError (InvalidSettings) that names each wrong one. */
export function serveSettings(env: Readonly<Record<string, string | undefined>>) {
  const parsed = envSchema.safeParse(env)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => [...issue.path, issue.message].join(': '))
    throw new HansaError('InvalidSettings', problems.join('; '), { retry: 'never' })
  }
  const { data } = parsed
  const { limits } = data.HANSA_SERVE
  const availableCpus = availableParallelism()
  return {
    serve: data.HANSA_SERVE,
    model: data.HANSA_MODEL,
    modelDir: data.HANSA_MODEL_DIR,
    host: data.POD_IP,
    port: data.HANSA_SERVE_PORT,
    grpcPort: data.HANSA_GRPC_PORT,
    probesPort: data.HANSA_PROBES_PORT,
    /** Undefined: plain HTTP on loopback. */
    gatewayUri: data.HANSA_INSECURE_LOOPBACK === 'true' ? undefined : data.HANSA_GATEWAY_URI,
    /** Undefined: as many as CPUs and memory allow. */
    sessions: data.HANSA_SESSIONS,
    /** Undefined: the container was promised none. */
    cpus: data.HANSA_CPUS,
    availableCpus,
    codecThreads: Math.max(1, Math.min(2, Math.floor(data.HANSA_CPUS ?? availableCpus))),
    /** Where spans go; undefined: nowhere. */
    otlpEndpoint: data.HANSA_OTLP_ENDPOINT,
    instance: data.POD_NAME,
    lameDuckSeconds: data.HANSA_LAMEDUCK_SECONDS,
    /** All request bodies in memory together. */
    bufferBytes: data.HANSA_BUFFER_BYTES ?? Math.max(2 * limits.requestBytes, 256 << 20),
    /** Guests only: the file with the lease, without which nothing is served. */
    leaseFile: data.HANSA_LEASE_FILE,
    terminationLog: data.HANSA_TERMINATION_LOG,
    /** What a session process gets of the environment: where to find GPU libraries and devices, and nothing else. */
    sessionEnv: defined({
      LD_LIBRARY_PATH: data.LD_LIBRARY_PATH,
      CUDA_VISIBLE_DEVICES: data.CUDA_VISIBLE_DEVICES,
      NVIDIA_VISIBLE_DEVICES: data.NVIDIA_VISIBLE_DEVICES,
    }),
  }
}

export function isLoopback(host: string): boolean {
  return host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function defined(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
}
