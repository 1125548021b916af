import { parseEnv } from '@hansa/operator/process/env.ts'
import { z } from 'zod'
import { checkVariables } from '../pull/model-settings.ts'

/** Environment of `verify`. */
export const verifySettingsSchema = z.object({
  ...checkVariables,
  HANSA_SOURCE_DIR: z.string().meta({ description: 'folder on the claim that holds the files' }),
})

export type VerifySettings = z.infer<typeof verifySettingsSchema>

/** Reads the settings of `verify`; throws SettingsInvalid. */
export function verifySettings(env: Record<string, string | undefined>): VerifySettings {
  return parseEnv(verifySettingsSchema, env)
}
