import { parseEnv } from '@hansa/operator/process/env.ts'
import { z } from 'zod'
import { identityVariables } from '../fetch/identity-settings.ts'

/** Environment of `cache`. */
export const cacheSettingsSchema = z.object({
  ...identityVariables,
  POD_IP: z.union([z.ipv4(), z.ipv6()]).meta({ description: 'address to listen on' }),
  HANSA_CACHE_PORT: z.coerce.number().int().min(0).max(65_535).default(8444).meta({ description: 'port for workers' }),
  HANSA_PROBES_PORT: z.coerce.number().int().min(0).max(65_535).default(8081).meta({ description: 'port for probes' }),
  HANSA_CACHE_DIR: z.string().meta({ description: 'folder for files' }),
  HANSA_CACHE_MAX_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 50)
    .meta({ description: 'bytes that files may take' }),
  HANSA_CACHE_GRANT_SECONDS: z.coerce
    .number()
    .min(0)
    .max(300)
    .default(10)
    .meta({ description: 'how long the word of fetch stands that a namespace may have a file' }),
  HANSA_FETCH_URL: z.url({ protocol: /^https$/ }).meta({ description: 'https URL of the fetch worker' }),
  HANSA_FETCH_URI: z.string().meta({ description: 'identity of the fetch worker' }),
})

export type CacheSettings = z.infer<typeof cacheSettingsSchema>

/** Reads the settings of `cache`; throws SettingsInvalid. */
export function cacheSettings(env: Record<string, string | undefined>): CacheSettings {
  return parseEnv(cacheSettingsSchema, env)
}
