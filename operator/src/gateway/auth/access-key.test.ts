import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { KeyTable, keyId } from './access-key.ts'
import { keySpecOf } from './follow-keys.ts'
import { callerName, keyFor, type Principal } from './principal.ts'

const text = `hansa_0123456789abcdef_${'A'.repeat(43)}`
const sha256 = hash('sha256', text, 'hex')

function spec(namespace: string, services: string[], notAfterMilliseconds?: number) {
  const secret = notAfterMilliseconds === undefined ? { sha256 } : { sha256, notAfterMilliseconds }
  return { namespace, name: 'key', services, secrets: [secret] }
}

function principalOf(table: KeyTable, now = 0): Principal {
  return { kind: 'accessKey', id: keyId(text) ?? '', entries: table.find(text, now) }
}

test('only the whole form of a key is one', () => {
  expect(keyId(text)).toBe('0123456789abcdef')
  for (const other of [`${text}A`, text.slice(1), text.replace('_', '-'), text.toUpperCase(), 'a.b.c']) {
    expect(keyId(other)).toBeUndefined()
  }
})

test('a key opens the services that it names in its own namespace, and no others', () => {
  const table = new KeyTable()
  expect(table.isKnown).toBe(false)
  table.replace([spec('apps', ['chat', 'digits'])])
  expect(table.isKnown).toBe(true)
  const principal = principalOf(table)
  expect(keyFor(principal, 'apps', 'chat')?.name).toBe('key')
  expect(keyFor(principal, 'apps', 'other')).toBeUndefined()
  expect(keyFor(principal, 'elsewhere', 'chat')).toBeUndefined()
  expect(table.find(`${text.slice(0, -1)}B`, 0)).toEqual([])
})

test('a copied hash opens the services of the namespace that it was copied to, and takes nothing from its owner', () => {
  const table = new KeyTable()
  table.replace([spec('mallory', ['chat']), spec('apps', ['chat'])])
  const principal = principalOf(table)
  expect(keyFor(principal, 'apps', 'chat')?.namespace).toBe('apps')
  expect(keyFor(principal, 'mallory', 'chat')?.namespace).toBe('mallory')
})

test('a secret is refused from its notAfter on', () => {
  const table = new KeyTable()
  table.replace([spec('apps', ['chat'], 1000)])
  expect(table.find(text, 999)).toHaveLength(1)
  expect(table.find(text, 1000)).toEqual([])
})

test('what a key has used of its limits stays when the key changes', () => {
  const table = new KeyTable()
  table.replace([{ ...spec('apps', ['chat']), inFlight: 1 }])
  expect(keyFor(principalOf(table), 'apps', 'chat')?.usage.enter(0)).toBeUndefined()
  table.replace([{ ...spec('apps', ['chat', 'digits']), inFlight: 1 }])
  expect(keyFor(principalOf(table), 'apps', 'digits')?.usage.enter(0)).toMatchObject({ limit: 'inFlight' })
})

test('a suspended, deleted or unreadable AccessKey opens nothing, and a date that is none ends its secret', () => {
  const id = '0123456789abcdef'
  const object = (change: object) => ({
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'AccessKey',
    metadata: { name: 'key', namespace: 'apps' },
    spec: { services: ['chat'], secrets: [{ id, sha256 }], limits: {}, suspend: false, ...change },
  })
  expect(keySpecOf(object({}))).toEqual([spec('apps', ['chat'])].map((each) => ({ ...each })))
  expect(keySpecOf(object({ suspend: true }))).toEqual([])
  expect(keySpecOf(object({ services: [] }))).toEqual([])
  expect(
    keySpecOf({
      ...object({}),
      metadata: { name: 'key', namespace: 'apps', deletionTimestamp: '2026-01-01T00:00:00Z' },
    }),
  ).toEqual([])
  expect(keySpecOf(object({ secrets: [{ id, sha256, notAfter: 'soon' }] }))[0]?.secrets).toEqual([])
  expect(keySpecOf(object({ secrets: [{ id, sha256, notAfter: '2026-01-01T00:00:00Z' }] }))[0]?.secrets).toEqual([
    { sha256, notAfterMilliseconds: Date.parse('2026-01-01T00:00:00Z') },
  ])
})

test('the access log names a key by its public part', () => {
  expect(callerName(principalOf(new KeyTable()))).toBe('accesskey:0123456789abcdef')
})
