import { expect, test } from 'vitest'
import { KubeApiError } from '../kube/api-error.ts'
import type { ConfigMap, Secret } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { createLogger } from '../process/log.ts'
import { authorityFromSecret, publishTrust } from './authority-secret.ts'

const log = createLogger('test', 'silent')

/** An API server with one Secret and one ConfigMap, and faults to inject. */
function server() {
  const stored: { secret?: Secret; trust?: ConfigMap } = {}
  const counts = { creates: 0, applies: 0 }
  const faults: { loseReply?: boolean; refuse?: KubeApiError } = {}
  const exists = new KubeApiError({ status: 409, reason: 'AlreadyExists', message: 'exists' })
  // The functions under test call no other method.
  const client = {
    get: async ({ kind }: { kind: string }) => (kind === 'Secret' ? stored.secret : stored.trust),
    create: async (_: unknown, secret: Secret) => {
      counts.creates++
      if (faults.refuse !== undefined) throw faults.refuse
      if (stored.secret !== undefined) throw exists
      stored.secret = secret
      if (faults.loseReply === true) throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'reset' })
      return secret
    },
    apply: async (_: unknown, trust: ConfigMap) => {
      counts.applies++
      stored.trust = trust
      return trust
    },
  } as unknown as KubeClient
  const { signal } = new AbortController()
  return { stored, counts, faults, deps: { client, namespace: 'hansa', trustDomain: 'owner.example', log, signal } }
}

test('the first start makes the authority, and every later one finds the same', async () => {
  const { deps, counts } = server()
  const first = await authorityFromSecret(deps)
  const second = await authorityFromSecret(deps)
  expect(second.caPem).toBe(first.caPem)
  expect(counts.creates).toBe(1)
})

test('of two operators that start at once, both end up with the authority that was stored', async () => {
  const { deps, counts } = server()
  const [a, b] = await Promise.all([authorityFromSecret(deps), authorityFromSecret(deps)])
  expect(counts.creates).toBe(2)
  expect(a.caPem).toBe(b.caPem)
})

test('a write whose reply was lost fails, and the next try finds what was written', async () => {
  const { deps, faults, counts } = server()
  faults.loseReply = true
  await expect(authorityFromSecret(deps)).rejects.toThrow('reset')
  await authorityFromSecret(deps)
  expect(counts.creates).toBe(1)
})

test('a refusal is passed on, to be tried again', async () => {
  const { deps, faults } = server()
  faults.refuse = new KubeApiError({ status: 403, reason: 'Forbidden', message: 'not yet' })
  await expect(authorityFromSecret(deps)).rejects.toThrow('not yet')
})

test('a Secret without its keys is never replaced; the error says what to do', async () => {
  const { deps, stored, counts } = server()
  stored.secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hansa-ca' }, data: {} }
  await expect(authorityFromSecret(deps)).rejects.toMatchObject({
    reason: 'AuthorityInvalid',
    retry: 'never',
    hint: expect.stringContaining('backup'),
  })
  expect(counts.creates).toBe(0)
})

test('the bundle is published once, and again only when it was changed', async () => {
  const { deps, stored, counts } = server()
  const authority = await authorityFromSecret(deps)
  await publishTrust(deps, authority)
  await publishTrust(deps, authority)
  expect(counts.applies).toBe(1)
  expect(stored.trust?.data?.['ca.pem']).toBe(authority.caPem)
  stored.trust = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'hansa-trust' }, data: { 'ca.pem': 'other' } }
  await publishTrust(deps, authority)
  expect(stored.trust?.data?.['ca.pem']).toBe(authority.caPem)
})

test('the key is in the Secret only, never in what is published', async () => {
  const { deps, stored } = server()
  await publishTrust(deps, await authorityFromSecret(deps))
  expect(JSON.stringify(stored.trust)).not.toContain('PRIVATE')
  expect(atob(stored.secret?.data?.['tls.key'] ?? '')).toContain('PRIVATE KEY')
})
