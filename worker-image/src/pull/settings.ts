import { parseEnv } from '@hansa/operator/process/env.ts'
import { z } from 'zod'
import { identityVariables } from '../fetch/identity-settings.ts'
import { checkVariables } from './model-settings.ts'

/** Environment of `pull`: HANSA_SOURCE_DIR for a model on a claim, else HANSA_FETCH_URL and what an identity needs. */
export const pullSettingsSchema = z.object({
  ...z.object(identityVariables).partial().shape,
  ...checkVariables,
  HANSA_MODEL_DIR: z.string().meta({ description: 'folder that the files are written to' }),
  HANSA_SOURCE_DIR: z.string().optional().meta({ description: 'folder on the claim that holds the files' }),
  HANSA_FETCH_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .meta({ description: 'https URL of the fetch worker' }),
  HANSA_FETCH_URI: z.string().optional().meta({ description: 'identity of the fetch worker' }),
  HANSA_CACHE_URL: z
    .url({ protocol: /^https$/ })
    .optional()
    .meta({ description: "https URL of the node's cache, asked before the fetch worker" }),
  HANSA_CACHE_URI: z.string().optional().meta({ description: 'identity of the cache' }),
  HANSA_PULL_TIMEOUT_SECONDS: z.coerce
    .number()
    .min(1)
    .max(86_400)
    .default(3600)
    .meta({ description: 'longest time to get all files' }),
})

export type PullSettings = z.infer<typeof pullSettingsSchema>

/** Reads the settings of `pull`; throws SettingsInvalid. */
export function pullSettings(env: Record<string, string | undefined>): PullSettings {
  return parseEnv(pullSettingsSchema, env)
}
