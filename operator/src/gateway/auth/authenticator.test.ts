import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose'
import { pino } from 'pino'
import { beforeAll, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kube/clock.ts'
import { Authenticator, bearerToken } from './authenticator.ts'
import { IssuerKeys } from './issuer-keys.ts'
import type { KeySource } from './key-source.ts'
import { TokenCache } from './token-cache.ts'

const signal = new AbortController().signal
const issuer = 'https://cluster.test'
const startSeconds = 1_800_000_000
let es: { privateKey: CryptoKey; jwk: JWK }
let other: { privateKey: CryptoKey; jwk: JWK }

beforeAll(async () => {
  const make = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } }
  }
  es = await make('k1')
  other = await make('k2')
})

type Setup = { keys: JWK[]; down: boolean; loads: number; nowSeconds: number; monotonic: number }

async function setup(changes: Partial<Setup> & { stateDir?: string; name?: string } = {}) {
  const state: Setup = { keys: [es.jwk], down: false, loads: 0, nowSeconds: startSeconds, monotonic: 0, ...changes }
  const clock: Clock = { ...systemClock, now: () => state.nowSeconds * 1000, monotonic: () => state.monotonic }
  const name = changes.name ?? 'cluster'
  const source: KeySource = {
    name,
    audience: 'hansa',
    issuer: name === 'cluster' ? undefined : issuer,
    load: async () => {
      state.loads += 1
      if (state.down) throw new Error('unreachable')
      return { issuer, jwks: { keys: state.keys } }
    },
  }
  const stateDir = changes.stateDir ?? (await mkdtemp(join(tmpdir(), 'hansa-keys-')))
  const deps = { source, stateDir, maxStaleSeconds: 3600, clock, log: pino({ level: 'silent' }), random: () => 0.5 }
  const keys = new IssuerKeys(deps)
  return { state, keys, stateDir, authenticator: new Authenticator({ issuers: [keys], clock }) }
}

function sign(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = es.privateKey,
): Promise<string> {
  const payload = {
    iss: issuer,
    aud: ['hansa'],
    sub: 'system:serviceaccount:apps:caller',
    iat: startSeconds,
    nbf: startSeconds,
    exp: startSeconds + 600,
    ...claims,
  }
  return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key)
}

test('a token of the cluster stands for its service account, and the second time without a signature check', async () => {
  const { keys, authenticator } = await setup()
  await keys.load(signal)
  const token = await sign()
  expect(authenticator.known(token)).toBeUndefined()
  const principal = { kind: 'serviceAccount', namespace: 'apps', name: 'caller' }
  expect(await authenticator.verify(token, signal)).toEqual({ principal })
  expect(authenticator.known(token)).toEqual(principal)
})

test.each([
  ['expired beyond the leeway', { exp: startSeconds - 31 }],
  ['not valid for another minute', { nbf: startSeconds + 60 }],
  ['for another audience', { aud: ['https://kubernetes.default.svc'] }],
  ['without audience', { aud: undefined }],
  ['without end', { exp: undefined }],
  ['without subject', { sub: undefined }],
  ['of a user, not a service account', { sub: 'alice' }],
  ['with a subject that goes on', { sub: 'system:serviceaccount:apps:caller:x' }],
  ['whose subject is a list', { sub: ['system:serviceaccount:apps:caller'] }],
  ['with an empty namespace', { sub: 'system:serviceaccount::caller' }],
  ['of another issuer', { iss: 'https://evil.test' }],
  ['without issuer', { iss: undefined }],
])('a token %s is refused', async (_what, claims) => {
  const { keys, authenticator } = await setup()
  await keys.load(signal)
  expect(await authenticator.verify(await sign(claims), signal)).toEqual({ refused: 'invalid' })
})

test('clocks may differ by half a minute', async () => {
  const { keys, authenticator } = await setup()
  await keys.load(signal)
  expect(await authenticator.verify(await sign({ exp: startSeconds - 29 }), signal)).toHaveProperty('principal')
  expect(await authenticator.verify(await sign({ nbf: startSeconds + 29 }), signal)).toHaveProperty('principal')
})

test('a forged signature, no signature and a symmetric signature made from the public key are refused', async () => {
  const { keys, authenticator } = await setup()
  await keys.load(signal)
  const forged = await sign({}, {}, other.privateKey)
  const unsigned = new UnsecuredJWT({
    iss: issuer,
    sub: 'system:serviceaccount:apps:caller',
    aud: 'hansa',
    exp: startSeconds + 60,
  }).encode()
  const symmetric = await new SignJWT({
    iss: issuer,
    sub: 'system:serviceaccount:apps:caller',
    aud: 'hansa',
    exp: startSeconds + 60,
  })
    .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
    .sign(new TextEncoder().encode(JSON.stringify(es.jwk)))
  for (const token of [forged, `${unsigned}x`, symmetric]) {
    expect(await authenticator.verify(token, signal)).toEqual({ refused: 'invalid' })
  }
})

test('symmetric and private keys in a key set are ignored', async () => {
  const { keys } = await setup({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'k1' }, es.jwk] })
  await keys.load(signal)
  expect(keys.current()?.keySet.jwks.keys).toHaveLength(1)
  const only = await setup({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }] })
  expect(await only.keys.load(signal)).toBe(false)
})

test('a token with a new key makes the keys load again, at most once in 30 s', async () => {
  const { state, keys, authenticator } = await setup({ monotonic: 100_000 })
  await keys.load(signal)
  state.keys = [es.jwk, other.jwk]
  const rotated = await sign({}, { kid: 'k2' }, other.privateKey)
  expect(await authenticator.verify(rotated, signal)).toHaveProperty('principal')
  expect(state.loads).toBe(2)
  for (let i = 0; i < 20; i += 1) await authenticator.verify(await sign({ jti: `${i}` }, { kid: `k${i + 10}` }), signal)
  expect(state.loads).toBe(2)
  state.monotonic += 31_000
  await authenticator.verify(await sign({}, { kid: 'k99' }), signal)
  expect(state.loads).toBe(3)
})

test('when a key is withdrawn, tokens that were accepted with it end', async () => {
  const { state, keys, authenticator } = await setup()
  await keys.load(signal)
  const token = await sign()
  await authenticator.verify(token, signal)
  state.keys = [other.jwk]
  await keys.load(signal)
  expect(authenticator.known(token)).toBeUndefined()
  expect(await authenticator.verify(token, signal)).toEqual({ refused: 'invalid' })
})

test('with the issuer away the keys go on, also after a restart, until they are too old', async () => {
  const first = await setup()
  await first.keys.load(signal)
  const again = await setup({ stateDir: first.stateDir, down: true, nowSeconds: startSeconds + 3500 })
  expect(await again.keys.restore()).toBe(true)
  expect(await again.keys.load(signal)).toBe(false)
  const token = await sign({ exp: startSeconds + 10_000 })
  expect(await again.authenticator.verify(token, signal)).toHaveProperty('principal')
  again.state.nowSeconds = startSeconds + 3601
  expect(again.authenticator.known(token)).toBeUndefined()
  expect(await again.authenticator.verify(token, signal)).toEqual({ refused: 'unavailable' })
})

test('saved keys of another issuer are not used', async () => {
  const first = await setup({ name: 'corp' })
  await first.keys.load(signal)
  const source: KeySource = {
    name: 'corp',
    audience: 'hansa',
    issuer: 'https://new.test',
    load: () => Promise.reject(new Error('away')),
  }
  const moved = new IssuerKeys({
    source,
    stateDir: first.stateDir,
    maxStaleSeconds: 3600,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    random: Math.random,
  })
  expect(await moved.restore()).toBe(false)
})

test('a token of an outside issuer is never a service account, whatever its subject says', async () => {
  const { keys, authenticator } = await setup({ name: 'corp' })
  await keys.load(signal)
  const token = await sign({ groups: ['ml', 7, 'ops'] })
  expect(await authenticator.verify(token, signal)).toEqual({
    principal: {
      kind: 'oidc',
      issuerName: 'corp',
      subject: 'system:serviceaccount:apps:caller',
      groups: ['ml', 'ops'],
    },
  })
})

test('only a well-formed bearer header holds a token', () => {
  expect(bearerToken('Bearer a.b.c')).toBe('a.b.c')
  expect(bearerToken('bearer a.b.c')).toBe('a.b.c')
  for (const header of [
    undefined,
    '',
    'Bearer',
    'Bearer a.b',
    'Basic a.b.c',
    'Bearer a.b.c, Bearer d.e.f',
    'Bearer a.b.c.d',
    `Bearer ${'a'.repeat(8192)}.b.c`,
  ]) {
    expect(bearerToken(header)).toBeUndefined()
  }
})

test('the cache holds a bounded number of verdicts and drops the least recently used', () => {
  const cache = new TokenCache(2)
  const entry = {
    principal: { kind: 'serviceAccount', namespace: 'a', name: 'b' } as const,
    validUntil: 100,
    stillValid: () => true,
  }
  cache.set('t1', entry)
  cache.set('t2', entry)
  cache.get('t1', 1)
  cache.set('t3', entry)
  expect([cache.get('t1', 1), cache.get('t2', 1), cache.get('t3', 1)].map((found) => found !== undefined)).toEqual([
    true,
    false,
    true,
  ])
  expect(cache.get('t1', 100)).toBeUndefined()
})
