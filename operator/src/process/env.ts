import type { z } from 'zod'
import { HansaError } from './errors.ts'

/**
 * Settings from environment variables. The schema's keys are the variables' names; an empty variable counts as unset. Throws
 * SettingsInvalid that names every wrong variable at once, with its description as the fix, and never its value.
 */
export function parseEnv<Schema extends z.ZodObject>(
  schema: Schema,
  env: Record<string, string | undefined>,
): z.infer<Schema> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, env[name] || undefined]))
  const parsed = schema.safeParse(given, { reportInput: false })
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0] ?? '')
    const what = given[name] === undefined ? 'is not set' : `is wrong: ${issue.message}`
    const description = schema.shape[name]?.meta?.()?.description
    return `${name} ${what}${description === undefined ? '' : ` (${description})`}`
  })
  throw new HansaError('SettingsInvalid', `wrong settings:\n  ${lines.join('\n  ')}`, {
    retry: 'never',
    hint: 'set these environment variables; docs/settings.md lists them',
  })
}
