import { z } from 'zod'
import { parseEnv } from '../process/env.ts'
import { HansaError } from '../process/errors.ts'

const whole = (least: number, most: number, otherwise: number) =>
  z.coerce.number().int().min(least).max(most).default(otherwise)

const environment = z.object({
  POD_IP: z.ipv4().or(z.ipv6()).meta({ description: 'address to listen on' }),
  POD_NAME: z.string().min(1).max(253).meta({ description: 'name of the pod, which names this replica to peers' }),
  POD_NAMESPACE: z.string().min(1).meta({ description: 'release namespace, where guest work is kept' }),
  KUBERNETES_SERVICE_HOST: z.string().min(1).meta({ description: 'address of the API server' }),
  KUBERNETES_SERVICE_PORT: z.string().min(1).meta({ description: 'port of the API server' }),
  HANSA_SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .meta({ description: 'token, ca.crt and namespace for the API server' }),
  HANSA_CA_URL: z
    .url({ protocol: /^https$/ })
    .max(2048)
    .meta({ description: 'certificate endpoint of the operator' }),
  HANSA_CA_FILE: z.string().optional().meta({ description: 'trust bundle, PEM file' }),
  HANSA_CA_PEM: z.string().optional().meta({ description: 'trust bundle, PEM' }),
  HANSA_CA_TOKEN_FILE: z.string().min(1).meta({ description: 'projected token with audience hansa-ca' }),
  HANSA_STATE_DIR: z.string().min(1).meta({ description: 'folder for certificates that survive a restart' }),
  HANSA_TRUST_DOMAIN: z.string().min(1).meta({ description: 'trust domain of the cluster' }),
  HANSA_LINK_PORT: whole(0, 65_535, 9444).meta({ description: 'port for peers' }),
  HANSA_PROBES_PORT: whole(0, 65_535, 8081).meta({ description: 'port for probes and metrics' }),
  HANSA_LINK_REPLICAS: whole(1, 64, 1).meta({ description: 'replicas of the link, as peers are told' }),
  HANSA_LINK_OPEN_REQUESTS: whole(1, 10_000, 64).meta({ description: 'open requests of one peer' }),
})

export type LinkSettings = ReturnType<typeof linkSettings>

/** Reads the link's settings from environment variables. Throws SettingsInvalid naming every wrong one. */
export function linkSettings(env: Record<string, string | undefined>) {
  const parsed = parseEnv(environment, env)
  if (parsed.HANSA_CA_PEM === undefined && parsed.HANSA_CA_FILE === undefined) {
    throw new HansaError('SettingsInvalid', 'HANSA_CA_FILE or HANSA_CA_PEM must be set', { retry: 'never' })
  }
  return {
    host: parsed.POD_IP,
    replica: parsed.POD_NAME,
    replicas: parsed.HANSA_LINK_REPLICAS,
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
    port: parsed.HANSA_LINK_PORT,
    probesPort: parsed.HANSA_PROBES_PORT,
    openRequests: parsed.HANSA_LINK_OPEN_REQUESTS,
  }
}
