import { parseEnv } from '@hansa/operator/process/env.ts'
import { z } from 'zod'
import { identityVariables } from './identity-settings.ts'

const gibibyte = 2 ** 30
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
const count = (most: number) => z.coerce.number().int().min(1).max(most)

/** Environment of `fetch`. */
export const fetchSettingsSchema = z.object({
  ...identityVariables,
  POD_IP: z.union([z.ipv4(), z.ipv6()]).meta({ description: 'address to listen on' }),
  POD_NAMESPACE: z.string().meta({ description: 'namespace of the release' }),
  HANSA_FETCH_PORT: z.coerce.number().int().min(0).max(65_535).default(8444).meta({ description: 'port for mTLS' }),
  HANSA_PROBES_PORT: z.coerce.number().int().min(0).max(65_535).default(8081).meta({ description: 'port for probes' }),
  HANSA_BLOB_DIR: z.string().meta({ description: 'folder for model files' }),
  HANSA_BLOB_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 50)
    .default(100 * gibibyte)
    .meta({ description: 'bytes that model files may take' }),
  HANSA_FETCH_ALLOWED_CIDRS: list.default([]).meta({ description: 'private address ranges that sources may have' }),
  HANSA_SOURCE_CA_FILE: z.string().optional().meta({ description: 'authorities of private sources, PEM' }),
  HANSA_PEER_BLOBS_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .meta({ description: 'where our gateway gives files of peers; not set: there are none' }),
  HANSA_LOCAL_ROOT: z.string().optional().meta({ description: 'folder that local sources lie in' }),
  HANSA_ALLOWED_DOMAINS: list
    .optional()
    .meta({ description: 'operator domains that models may use beside ONNX, ONNX-ML and com.microsoft' }),
  HANSA_FETCH_CONCURRENCY: count(64).default(4).meta({ description: 'downloads at once' }),
  HANSA_FETCH_STALL_SECONDS: count(3600).default(30).meta({ description: 'a download that stalls so long is ended' }),
  HANSA_FETCH_MIN_BYTES_PER_SECOND: count(gibibyte)
    .default(1024)
    .meta({ description: 'a slower download has stalled' }),
  HANSA_FETCH_RETRY_SECONDS: z.coerce
    .number()
    .min(0.01)
    .max(600)
    .default(5)
    .meta({ description: 'first pause after a failure' }),
  HANSA_FETCH_MAX_MODELS: count(100_000).default(10_000).meta({ description: 'models at once' }),
  HANSA_CHECK_SECONDS: count(3600).default(300).meta({ description: 'longest time to check one ONNX file' }),
  HANSA_CHECK_HEAP_MEGABYTES: count(65_536).default(1024).meta({ description: 'heap of the process that checks' }),
  HANSA_SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .meta({ description: 'token and authority for the API server' }),
  KUBERNETES_SERVICE_HOST: z.string().default('kubernetes.default.svc').meta({ description: 'host of the API server' }),
  KUBERNETES_SERVICE_PORT: z.string().regex(/^\d+$/).default('443').meta({ description: 'port of the API server' }),
})

export type FetchSettings = z.infer<typeof fetchSettingsSchema>

/** Reads the settings of `fetch`; throws SettingsInvalid. */
export function fetchSettings(env: Record<string, string | undefined>): FetchSettings {
  return parseEnv(fetchSettingsSchema, env)
}
