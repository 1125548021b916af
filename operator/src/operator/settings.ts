import { z } from 'zod'
import { otlpEndpoint } from '../process/tracing.ts'

const url = z.string().regex(/^https:\/\/[^\s/?#]+$/, 'must be https://host[:port] without a path')
const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  )
const count = (fallback: number, max: number) => z.coerce.number().int().min(1).max(max).default(fallback)

/** The operator's environment, as the chart sets it. */
export const operatorSettings = z.object({
  POD_NAME: z.string().min(1),
  POD_NAMESPACE: z.string().min(1),
  POD_IP: z.string().min(1),
  HANSA_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  HANSA_TRUST_DOMAIN: z.string().min(1),
  HANSA_WORKER_IMAGE: z.string().min(1),
  HANSA_WORKER_IMAGE_PULL_POLICY: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  HANSA_WORKER_IMAGE_PULL_SECRETS: list,
  HANSA_CA_URL: url,
  HANSA_FETCH_URL: url,
  /** Where workers reach the cache of their node, if there is one. */
  HANSA_CACHE_URL: url.optional(),
  /** Where workers send spans, if they can reach it. */
  HANSA_OTLP_ENDPOINT: otlpEndpoint.optional(),
  HANSA_GATEWAY_URL: url,
  /** More names and addresses that the gateway's certificate may carry, separated by commas. */
  HANSA_GATEWAY_DNS_NAMES: list,
  HANSA_SERVICE_ACCOUNT_DIR: z.string().default('/var/run/secrets/kubernetes.io/serviceaccount'),
  KUBERNETES_SERVICE_HOST: z.string().min(1),
  KUBERNETES_SERVICE_PORT: z.string().min(1),
  /** Operator domains that models on a claim may use, as for fetch. */
  HANSA_ALLOWED_DOMAINS: list,
  HANSA_CA_PORT: count(9443, 65_535),
  HANSA_PROBES_PORT: count(8081, 65_535),
  HANSA_API_REQUESTS_PER_SECOND: count(100, 1000),
  HANSA_RECONCILES_AT_ONCE: count(8, 64),
  HANSA_LEASE_SECONDS: count(15, 300),
})

export type OperatorSettings = z.infer<typeof operatorSettings>
