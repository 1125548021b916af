import { z } from 'zod'
import { parseEnv } from '../process/env.ts'
import { HansaError } from '../process/errors.ts'

const whole = (least: number, most: number, otherwise: number) =>
  z.coerce.number().int().min(least).max(most).default(otherwise)
const seconds = (most: number, otherwise: number) => z.coerce.number().min(0.05).max(most).default(otherwise)
const httpsUrl = z.url({ protocol: /^https$/ }).max(2048)

const environment = z.object({
  POD_IP: z.ipv4().or(z.ipv6()).meta({ description: 'address to listen on' }),
  POD_NAMESPACE: z.string().min(1).meta({ description: 'release namespace, where guest work is kept' }),
  KUBERNETES_SERVICE_HOST: z.string().min(1).meta({ description: 'address of the API server' }),
  KUBERNETES_SERVICE_PORT: z.string().min(1).meta({ description: 'port of the API server' }),
  HANSA_SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .meta({ description: 'token, ca.crt and namespace for the API server' }),
  HANSA_CA_URL: httpsUrl.meta({ description: 'certificate endpoint of the operator, which signs too' }),
  HANSA_CA_FILE: z.string().optional().meta({ description: 'trust bundle, PEM file' }),
  HANSA_CA_PEM: z.string().optional().meta({ description: 'trust bundle, PEM' }),
  HANSA_CA_TOKEN_FILE: z.string().min(1).meta({ description: 'projected token with audience hansa-ca' }),
  HANSA_STATE_DIR: z.string().min(1).meta({ description: 'folder for the certificate' }),
  HANSA_TRUST_DOMAIN: z.string().min(1).meta({ description: 'trust domain of the cluster' }),
  HANSA_GATEWAY_DATA_URL: httpsUrl.meta({ description: 'where our gateways take messages for peers' }),
  HANSA_LEDGER_PORT: whole(0, 65_535, 8449).meta({ description: 'port for gateways' }),
  HANSA_LEDGER_AUDITORS_PORT: whole(0, 65_535, 8450).meta({ description: 'port for auditors' }),
  HANSA_PROBES_PORT: whole(0, 65_535, 8081).meta({ description: 'port for probes and metrics' }),
  HANSA_LEDGER_DIR: z.string().optional().meta({ description: 'folder of the SQLite file, unless PostgreSQL is used' }),
  HANSA_LEDGER_POSTGRES_HOST: z.string().max(253).optional().meta({ description: 'PostgreSQL server' }),
  HANSA_LEDGER_POSTGRES_PORT: whole(1, 65_535, 5432).meta({ description: 'its port' }),
  HANSA_LEDGER_POSTGRES_DATABASE: z.string().max(63).default('hansa').meta({ description: 'database there' }),
  HANSA_LEDGER_POSTGRES_USER: z.string().max(63).default('hansa').meta({ description: 'user there' }),
  HANSA_LEDGER_POSTGRES_PASSWORD_FILE: z.string().optional().meta({ description: "file with the user's password" }),
  HANSA_LEDGER_POSTGRES_CA_FILE: z
    .string()
    .optional()
    .meta({ description: "authorities of the server's certificate, PEM file; default: those of the system" }),
  HANSA_LEDGER_POSTGRES_TLS: z.enum(['true', 'false']).default('true').meta({ description: 'false: without TLS' }),
  HANSA_LEDGER_CLAIM_SECONDS: seconds(3600, 60).meta({ description: 'how often claims are made' }),
  HANSA_LEDGER_DELIVER_SECONDS: seconds(3600, 5).meta({
    description: 'how often claims without an answer are repeated',
  }),
  HANSA_LEDGER_CHECKPOINT_SECONDS: seconds(86_400, 60).meta({ description: 'how often checkpoints are made' }),
  HANSA_LEDGER_SETTLE_WAIT_SECONDS: seconds(3600, 120).meta({
    description: 'how long a claim of a peer waits for what our own gateways have not handed over yet',
  }),
  HANSA_LEDGER_RESTORE_WAIT_SECONDS: seconds(3600, 60).meta({
    description: 'how long a start waits for witnesses beyond the first one',
  }),
  HANSA_LEDGER_SALT_DAYS: whole(1, 3650, 30).meta({
    description: 'days after which salts and names of callers are erased',
  }),
  HANSA_LEDGER_RECEIPT_DAYS: whole(1, 36_500, 400).meta({
    description: 'days after which the bytes of agreed receipts are erased; hashes stay',
  }),
  HANSA_LEDGER_MAX_UNAGREED_RECEIPTS: whole(1, 10_000_000, 100_000).meta({
    description: 'receipts of a grant that may be not agreed before it is stopped',
  }),
  HANSA_LEDGER_MAX_UNAGREED_GPU_SECONDS: whole(1, 1_000_000_000, 86_400).meta({
    description: 'GPU seconds of a grant that may be not agreed before it is stopped',
  }),
})

export type LedgerSettings = ReturnType<typeof ledgerSettings>

/** Reads the ledger's settings from environment variables. Throws SettingsInvalid naming every wrong one. */
export function ledgerSettings(env: Record<string, string | undefined>) {
  const parsed = parseEnv(environment, env)
  if (parsed.HANSA_CA_PEM === undefined && parsed.HANSA_CA_FILE === undefined) {
    throw wrong('HANSA_CA_FILE or HANSA_CA_PEM must be set')
  }
  return {
    host: parsed.POD_IP,
    namespace: parsed.POD_NAMESPACE,
    apiServer: {
      serviceAccountDir: parsed.HANSA_SERVICE_ACCOUNT_DIR,
      host: parsed.KUBERNETES_SERVICE_HOST,
      port: parsed.KUBERNETES_SERVICE_PORT,
    },
    caUrl: parsed.HANSA_CA_URL,
    ca: parsed.HANSA_CA_PEM === undefined ? { file: parsed.HANSA_CA_FILE ?? '' } : { pem: parsed.HANSA_CA_PEM },
    caTokenFile: parsed.HANSA_CA_TOKEN_FILE,
    stateDir: parsed.HANSA_STATE_DIR,
    trustDomain: parsed.HANSA_TRUST_DOMAIN,
    gatewayUrl: parsed.HANSA_GATEWAY_DATA_URL.replace(/\/$/, ''),
    port: parsed.HANSA_LEDGER_PORT,
    auditorsPort: parsed.HANSA_LEDGER_AUDITORS_PORT,
    probesPort: parsed.HANSA_PROBES_PORT,
    books: booksOf(parsed),
    times: {
      claimMilliseconds: parsed.HANSA_LEDGER_CLAIM_SECONDS * 1000,
      deliverMilliseconds: parsed.HANSA_LEDGER_DELIVER_SECONDS * 1000,
      checkpointMilliseconds: parsed.HANSA_LEDGER_CHECKPOINT_SECONDS * 1000,
      settleWaitMilliseconds: parsed.HANSA_LEDGER_SETTLE_WAIT_SECONDS * 1000,
      restoreWaitMilliseconds: parsed.HANSA_LEDGER_RESTORE_WAIT_SECONDS * 1000,
    },
    retention: { saltDays: parsed.HANSA_LEDGER_SALT_DAYS, receiptDays: parsed.HANSA_LEDGER_RECEIPT_DAYS },
    caps: {
      maxUnagreedReceipts: parsed.HANSA_LEDGER_MAX_UNAGREED_RECEIPTS,
      maxUnagreedGPUSeconds: parsed.HANSA_LEDGER_MAX_UNAGREED_GPU_SECONDS,
    },
  }
}

function booksOf(env: z.infer<typeof environment>) {
  if (env.HANSA_LEDGER_POSTGRES_HOST === undefined) {
    if (env.HANSA_LEDGER_DIR === undefined) throw wrong('HANSA_LEDGER_DIR or HANSA_LEDGER_POSTGRES_HOST must be set')
    return { kind: 'SQLite', folder: env.HANSA_LEDGER_DIR } as const
  }
  return {
    kind: 'PostgreSQL',
    host: env.HANSA_LEDGER_POSTGRES_HOST,
    port: env.HANSA_LEDGER_POSTGRES_PORT,
    database: env.HANSA_LEDGER_POSTGRES_DATABASE,
    user: env.HANSA_LEDGER_POSTGRES_USER,
    passwordFile: env.HANSA_LEDGER_POSTGRES_PASSWORD_FILE,
    caFile: env.HANSA_LEDGER_POSTGRES_CA_FILE,
    hasTls: env.HANSA_LEDGER_POSTGRES_TLS === 'true',
  } as const
}

function wrong(message: string): HansaError {
  return new HansaError('SettingsInvalid', message, { retry: 'never' })
}
