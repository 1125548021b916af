import { readFile } from 'node:fs/promises'
import { startIdentity } from '@hansa/operator/identity/agent.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { z } from 'zod'

/** The variables by which a process gets its certificate; see docs/architecture.md. */
export const identityVariables = {
  HANSA_STATE_DIR: z.string().meta({ description: 'folder for keys, certificates and state' }),
  HANSA_CA_URL: z
    .url({ protocol: /^https$/ })
    .meta({ description: "https URL of the operator's certificate authority" }),
  HANSA_CA_FILE: z.string().optional().meta({ description: 'file with the trust bundle; or HANSA_CA_PEM' }),
  HANSA_CA_PEM: z.string().optional().meta({ description: 'the trust bundle itself; or HANSA_CA_FILE' }),
  HANSA_CA_TOKEN_FILE: z.string().meta({ description: 'projected service account token, audience hansa-ca' }),
  HANSA_TRUST_DOMAIN: z.string().meta({ description: 'trust domain of this cluster' }),
}

export type IdentitySettings = {
  HANSA_STATE_DIR: string
  HANSA_CA_URL: string
  HANSA_CA_FILE?: string | undefined
  HANSA_CA_PEM?: string | undefined
  HANSA_CA_TOKEN_FILE: string
  HANSA_TRUST_DOMAIN: string
}

/** Starts the identity that the settings describe. */
export async function identityFrom(
  settings: IdentitySettings,
  deps: { log: Logger; signal: AbortSignal },
): Promise<Identity> {
  const { HANSA_CA_FILE: file, HANSA_CA_PEM: pem } = settings
  const caPem = pem ?? (file === undefined ? undefined : await readFile(file, 'utf8'))
  if (caPem === undefined) {
    throw new HansaError('SettingsInvalid', 'neither HANSA_CA_FILE nor HANSA_CA_PEM is set', { retry: 'never' })
  }
  return startIdentity({
    caUrl: settings.HANSA_CA_URL,
    caPem,
    tokenFile: settings.HANSA_CA_TOKEN_FILE,
    stateDir: settings.HANSA_STATE_DIR,
    ...deps,
  })
}
