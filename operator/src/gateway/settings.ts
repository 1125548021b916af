import { z } from 'zod'
import { parseEnv } from '../process/env.ts'
import { HansaError } from '../process/errors.ts'
import { otlpEndpoint, traceSample } from '../process/tracing.ts'
import type { DataPathSettings } from './data/start-data-path.ts'

const number = (least: number, most: number, otherwise: number) =>
  z.coerce.number().min(least).max(most).default(otherwise)
const whole = (least: number, most: number, otherwise: number) =>
  z.coerce.number().int().min(least).max(most).default(otherwise)
const httpsUrl = z.url({ protocol: /^https$/ }).max(2048)

const issuersSchema = z
  .array(
    z.strictObject({
      name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
      issuer: httpsUrl,
      audience: z.string().min(1).max(512),
      jwksUrl: httpsUrl.optional(),
      caPem: z.string().max(65_536).optional(),
    }),
  )
  .max(16)
  .refine((issuers) => new Set(issuers.map(({ name }) => name)).size === issuers.length, 'names must be unique')
  .refine((issuers) => new Set(issuers.map(({ issuer }) => issuer)).size === issuers.length, 'issuers must be unique')
  .refine(
    (issuers) => issuers.every(({ name }) => name !== 'cluster'),
    'the name "cluster" is taken by the cluster itself',
  )

const environment = z.object({
  POD_IP: z.ipv4().or(z.ipv6()).meta({ description: 'address to listen on' }),
  POD_NAME: z.string().default('hansa-gateway').meta({ description: 'name of the pod' }),
  POD_NAMESPACE: z.string().min(1).meta({ description: 'namespace of the gateway' }),
  KUBERNETES_SERVICE_HOST: z.string().min(1).meta({ description: 'address of the API server' }),
  KUBERNETES_SERVICE_PORT: z.string().min(1).meta({ description: 'port of the API server' }),
  HANSA_SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .meta({ description: 'token, ca.crt and namespace for the API server' }),
  HANSA_CA_URL: httpsUrl.meta({ description: 'certificate endpoint of the operator' }),
  HANSA_CA_FILE: z.string().optional().meta({ description: 'trust bundle, PEM file' }),
  HANSA_CA_PEM: z.string().optional().meta({ description: 'trust bundle, PEM' }),
  HANSA_CA_TOKEN_FILE: z.string().min(1).meta({ description: 'projected token with audience hansa-ca' }),
  HANSA_GATEWAY_URL: httpsUrl
    .optional()
    .meta({ description: 'base URL that users dial; its host goes into the certificate' }),
  HANSA_GATEWAY_DNS_NAMES: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()])))
    .meta({ description: 'more names for the certificate, separated by commas' }),
  HANSA_STATE_DIR: z.string().min(1).meta({ description: 'folder for routes and keys that survive a restart' }),
  HANSA_TRUST_DOMAIN: z.string().min(1).meta({ description: 'trust domain of the cluster' }),
  HANSA_GATEWAY_PORT: whole(0, 65_535, 8443).meta({ description: 'port for users' }),
  HANSA_GATEWAY_INTERNAL_PORT: whole(0, 65_535, 8445).meta({ description: 'port for the operator' }),
  HANSA_PROBES_PORT: whole(0, 65_535, 8081).meta({ description: 'port for probes and metrics' }),
  HANSA_GATEWAY_GRPC_PORT: whole(0, 65_535, 8444).meta({ description: "port for users' gRPC" }),
  HANSA_WORKER_GRPC_PORT: whole(1, 65_535, 8444).meta({ description: 'gRPC port of the workers' }),
  HANSA_WORKER_PORT: whole(1, 65_535, 8443).meta({ description: 'port of the workers' }),
  HANSA_TLS_CERT_FILE: z.string().optional().meta({ description: 'certificate chain for users, PEM' }),
  HANSA_TLS_KEY_FILE: z.string().optional().meta({ description: 'its private key, PEM' }),
  HANSA_TOKEN_AUDIENCE: z
    .string()
    .min(1)
    .max(512)
    .default('hansa')
    .meta({ description: "audience of the cluster's tokens" }),
  HANSA_OIDC_ISSUERS: z
    .string()
    .max(1_048_576)
    .default('[]')
    .transform((text, context) => {
      try {
        return JSON.parse(text)
      } catch {
        context.addIssue('is not JSON')
        return z.NEVER
      }
    })
    .pipe(issuersSchema)
    .meta({ description: 'outside issuers, JSON [{name, issuer, audience, jwksUrl?, caPem?}], https only' }),
  HANSA_JWKS_MAX_STALE_SECONDS: whole(60, 2_592_000, 259_200).meta({
    description: 'how old keys of an unreachable issuer may be',
  }),
  HANSA_ACCESS_LOG_SAMPLE: number(0, 1, 1).meta({
    description: 'share of successful requests that are logged, 0 to 1',
  }),
  HANSA_MAX_CONNECTIONS: whole(1, 1_000_000, 8192).meta({ description: 'connections of users at once' }),
  HANSA_MAX_IN_FLIGHT: whole(1, 1_000_000, 4096).meta({ description: 'requests at once, all services together' }),
  HANSA_MAX_STREAMS: whole(1, 1_000_000, 8192).meta({ description: 'gRPC calls at once, idle streams included' }),
  HANSA_HEADER_SECONDS: whole(1, 300, 10).meta({ description: 'time for the head of a request to arrive' }),
  HANSA_IDLE_SECONDS: whole(1, 3600, 65).meta({ description: 'time that a connection may wait for its next request' }),
  HANSA_LAME_DUCK_SECONDS: number(0, 300, 5).meta({ description: 'time between unready and closing the listener' }),
  HANSA_OTLP_ENDPOINT: otlpEndpoint.optional().meta({ description: 'receiver of traces by OTLP/HTTP' }),
  HANSA_TRACE_SAMPLE: traceSample.meta({ description: 'share of new traces that are recorded, 0 to 1' }),
  HANSA_FETCH_URL: httpsUrl.optional().meta({ description: 'the fetch worker; set where owners are joined' }),
  HANSA_LEDGER_URL: httpsUrl.optional().meta({ description: 'the ledger; without it no receipts are kept' }),
  HANSA_RECEIPTS_BYTES: whole(1_048_576, 2 ** 40, 2 ** 28).meta({
    description: 'size of the spool of receipts, beyond which nothing is done for peers',
  }),
  HANSA_RECEIPTS_ASK_SECONDS: number(0.05, 60, 2).meta({
    description: 'how often the ledger is asked which grants are stopped',
  }),
  HANSA_RECEIPTS_DRAIN_SECONDS: number(0, 300, 10).meta({
    description: 'time for the ledger to take the spool at shutdown',
  }),
  HANSA_PEER_DATA_PORT: whole(0, 65_535, 8447).meta({ description: 'port for gateways of peers' }),
  HANSA_PEER_BLOBS_PORT: whole(0, 65_535, 8448).meta({ description: 'port for the fetch worker' }),
  HANSA_PEER_MAX_STREAMS: whole(1, 1000, 16).meta({ description: 'files that one peer gets at once' }),
  HANSA_PEER_BYTES_PER_SECOND: whole(1024, 2 ** 40, 2 ** 30).meta({
    description: 'bytes that one peer gets in a second, all files together',
  }),
  HANSA_PEER_STALL_SECONDS: whole(1, 3600, 30).meta({
    description: 'a peer that hardly reads for so long is cut off',
  }),
  HANSA_PEER_MAX_REQUESTS: whole(1, 10_000, 256).meta({
    description: "requests of one peer's users that are answered at once",
  }),
  HANSA_DRAIN_SECONDS: number(0, 3600, 30).meta({ description: 'time for requests under way at shutdown' }),
})

export type GatewaySettings = ReturnType<typeof gatewaySettings>
/** What serving itself needs, once identity and API client exist. */
export type ServingSettings = Omit<
  GatewaySettings,
  | 'caUrl'
  | 'ca'
  | 'caTokenFile'
  | 'apiServer'
  | 'dnsNames'
  | 'otlpEndpoint'
  | 'instance'
  | 'namespace'
  | 'traceSample'
  | 'dataPath'
  | 'receipts'
> & { traceSample?: number }

/** Reads the gateway's settings from environment variables. Throws SettingsInvalid naming every wrong one. */
export function gatewaySettings(env: Record<string, string | undefined>) {
  const parsed = parseEnv(environment, env)
  if ((parsed.HANSA_TLS_CERT_FILE === undefined) !== (parsed.HANSA_TLS_KEY_FILE === undefined)) {
    throw wrong('HANSA_TLS_CERT_FILE and HANSA_TLS_KEY_FILE go together')
  }
  if (parsed.HANSA_CA_PEM === undefined && parsed.HANSA_CA_FILE === undefined) {
    throw wrong('HANSA_CA_FILE or HANSA_CA_PEM must be set')
  }

  return {
    caUrl: parsed.HANSA_CA_URL,
    ca: parsed.HANSA_CA_PEM === undefined ? { file: parsed.HANSA_CA_FILE ?? '' } : { pem: parsed.HANSA_CA_PEM },
    caTokenFile: parsed.HANSA_CA_TOKEN_FILE,
    apiServer: {
      serviceAccountDir: parsed.HANSA_SERVICE_ACCOUNT_DIR,
      host: parsed.KUBERNETES_SERVICE_HOST,
      port: parsed.KUBERNETES_SERVICE_PORT,
    },
    dnsNames: dnsNames(parsed),
    host: parsed.POD_IP,
    stateDir: parsed.HANSA_STATE_DIR,
    trustDomain: parsed.HANSA_TRUST_DOMAIN,
    port: parsed.HANSA_GATEWAY_PORT,
    internalPort: parsed.HANSA_GATEWAY_INTERNAL_PORT,
    probesPort: parsed.HANSA_PROBES_PORT,
    grpcPort: parsed.HANSA_GATEWAY_GRPC_PORT,
    workerGrpcPort: parsed.HANSA_WORKER_GRPC_PORT,
    workerPort: parsed.HANSA_WORKER_PORT,
    tlsFiles:
      parsed.HANSA_TLS_CERT_FILE === undefined || parsed.HANSA_TLS_KEY_FILE === undefined
        ? undefined
        : { certFile: parsed.HANSA_TLS_CERT_FILE, keyFile: parsed.HANSA_TLS_KEY_FILE },
    tokenAudience: parsed.HANSA_TOKEN_AUDIENCE,
    oidcIssuers: parsed.HANSA_OIDC_ISSUERS,
    jwksMaxStaleSeconds: parsed.HANSA_JWKS_MAX_STALE_SECONDS,
    accessLogSample: parsed.HANSA_ACCESS_LOG_SAMPLE,
    maxConnections: parsed.HANSA_MAX_CONNECTIONS,
    maxInFlight: parsed.HANSA_MAX_IN_FLIGHT,
    maxStreams: parsed.HANSA_MAX_STREAMS,
    headerSeconds: parsed.HANSA_HEADER_SECONDS,
    idleSeconds: parsed.HANSA_IDLE_SECONDS,
    lameDuckSeconds: parsed.HANSA_LAME_DUCK_SECONDS,
    drainSeconds: parsed.HANSA_DRAIN_SECONDS,
    /** Undefined: no owners are joined. */
    dataPath: dataPathOf(parsed),
    receipts: receiptsOf(parsed),
    traceSample: parsed.HANSA_TRACE_SAMPLE,
    otlpEndpoint: parsed.HANSA_OTLP_ENDPOINT,
    instance: parsed.POD_NAME,
    namespace: parsed.POD_NAMESPACE,
  }
}

function dataPathOf(env: z.infer<typeof environment>): DataPathSettings | undefined {
  const { HANSA_FETCH_URL: fetchUrl } = env
  if (fetchUrl === undefined) return undefined
  return {
    host: env.POD_IP,
    port: env.HANSA_PEER_DATA_PORT,
    internalPort: env.HANSA_PEER_BLOBS_PORT,
    fetchUrl: fetchUrl.replace(/\/$/, ''),
    ledgerUrl: env.HANSA_LEDGER_URL?.replace(/\/$/, ''),
    trustDomain: env.HANSA_TRUST_DOMAIN,
    limits: {
      maxStreams: env.HANSA_PEER_MAX_STREAMS,
      maxRequests: env.HANSA_PEER_MAX_REQUESTS,
      bytesPerSecond: env.HANSA_PEER_BYTES_PER_SECOND,
      stallSeconds: env.HANSA_PEER_STALL_SECONDS,
    },
  }
}

/** Undefined: no receipts are kept. */
function receiptsOf(env: z.infer<typeof environment>) {
  if (env.HANSA_LEDGER_URL === undefined || env.HANSA_FETCH_URL === undefined) return undefined
  return {
    ledgerUrl: env.HANSA_LEDGER_URL.replace(/\/$/, ''),
    maxBytes: env.HANSA_RECEIPTS_BYTES,
    idleMilliseconds: env.HANSA_RECEIPTS_ASK_SECONDS * 1000,
    drainMilliseconds: env.HANSA_RECEIPTS_DRAIN_SECONDS * 1000,
  }
}

function dnsNames(env: {
  POD_NAMESPACE: string
  HANSA_GATEWAY_URL?: string | undefined
  HANSA_GATEWAY_DNS_NAMES: string[]
}): string[] {
  const service = `hansa-gateway.${env.POD_NAMESPACE}`
  const external =
    env.HANSA_GATEWAY_URL === undefined ? [] : [new URL(env.HANSA_GATEWAY_URL).hostname.replace(/^\[|\]$/g, '')]
  const names = [service, `${service}.svc`, `${service}.svc.cluster.local`, ...external, ...env.HANSA_GATEWAY_DNS_NAMES]
  return [...new Set(names)]
}

function wrong(message: string): HansaError {
  return new HansaError('SettingsInvalid', message, { retry: 'never' })
}
