import { expect, test } from 'vitest'
import { z } from 'zod'
import { parseEnv } from './env.ts'

const schema = z.object({
  HANSA_CA_URL: z.url().meta({ description: 'URL of the certificate endpoint' }),
  HANSA_LEASE_SECONDS: z.coerce.number().int().min(1).default(15),
  HANSA_SECRET: z.string().min(8).optional(),
})

test('settings are parsed, empty ones count as unset', () => {
  expect(parseEnv(schema, { HANSA_CA_URL: 'https://ca:9443', HANSA_LEASE_SECONDS: '', OTHER: 'x' })).toEqual({
    HANSA_CA_URL: 'https://ca:9443',
    HANSA_LEASE_SECONDS: 15,
  })
})

test('every wrong variable is named at once with what it is for, and no value', () => {
  const parse = () => parseEnv(schema, { HANSA_LEASE_SECONDS: '0', HANSA_SECRET: 'hunter2' })
  expect(parse).toThrow('HANSA_CA_URL is not set (URL of the certificate endpoint)')
  expect(parse).toThrow(/HANSA_LEASE_SECONDS is wrong: .*HANSA_SECRET is wrong/s)
  expect(parse).not.toThrow('hunter2')
})
