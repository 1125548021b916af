import { expect, test } from 'vitest'
import { parseRepository } from './repository.ts'
import { type Answer, type Credentials, type Get, mayKnow, RegistrySession, retryAfterSeconds } from './session.ts'

type Call = { url: string; authorization: string | undefined }

const signal = new AbortController().signal
const basic: Credentials = { authorization: 'Basic c2VjcmV0' }

function answer(url: URL, status: number, headers: Record<string, string> = {}, body = ''): Answer {
  return {
    status,
    headers,
    url,
    body: (async function* () {
      yield Buffer.from(body)
    })(),
    close: async () => undefined,
  }
}

/** A session whose calls are noted and answered by `reply`. */
function session(reply: (url: URL, authorization: string | undefined) => Answer, credentials?: Credentials) {
  const calls: Call[] = []
  let now = 0
  const get: Get = async (url, { authorization }) => {
    calls.push({ url: url.href, authorization })
    return reply(url, authorization)
  }
  const repository = parseRepository('registry.corp.example/models/triage')
  if (repository === undefined) throw new Error('no repository')
  const opened = new RegistrySession(repository, { get, credentials: async () => credentials, now: () => now })
  return {
    calls,
    open: () => opened.open('blobs/sha256:x', {}, signal),
    later: (seconds: number) => {
      now += seconds * 1000
    },
  }
}

const challenge = (realm: string) => ({
  'www-authenticate': `Bearer realm="${realm}",service="s",scope="registry:catalog:*"`,
})
const tokenReply =
  (realm: string, token = 'abc', more: object = {}) =>
  (url: URL, authorization: string | undefined) => {
    if (url.href.startsWith(realm)) return answer(url, 200, {}, JSON.stringify({ token, ...more }))
    return authorization === `Bearer ${token}` ? answer(url, 200) : answer(url, 401, challenge(realm))
  }

test('a token is asked for once, with our scope, and kept until it runs out', async () => {
  const realm = 'https://auth.corp.example/token'
  const { calls, open, later } = session(tokenReply(realm, 'abc', { expires_in: 100 }), basic)
  expect((await open()).status).toBe(200)
  expect((await open()).status).toBe(200)
  expect(calls.filter(({ url }) => url.startsWith(realm))).toEqual([
    { url: `${realm}?service=s&scope=repository%3Amodels%2Ftriage%3Apull`, authorization: basic.authorization },
  ])
  later(96)
  await open()
  expect(calls.filter(({ url }) => url.startsWith(realm))).toHaveLength(2)
})

test('nothing is shown before the registry asks, and a refused token is not shown for ever', async () => {
  const { calls, open } = session(
    (url) =>
      answer(
        url,
        url.host === 'auth.corp.example' ? 200 : 401,
        challenge('https://auth.corp.example/'),
        '{"token":"x"}',
      ),
    basic,
  )
  expect((await open()).status).toBe(401)
  expect(calls.map(({ authorization }) => authorization)).toEqual([undefined, basic.authorization, 'Bearer x'])
})

test('what the registry redirects to may not ask for credentials', async () => {
  const { calls, open } = session(
    () => answer(new URL('https://cdn.elsewhere.example/x'), 401, challenge('https://cdn.elsewhere.example/token')),
    basic,
  )
  expect((await open()).status).toBe(401)
  expect(calls).toHaveLength(1)
})

test.each([
  ['a stranger', 'https://evil.example/token', 'SourceForbidden'],
  ['plain http', 'http://auth.corp.example/token', 'SourceAddressRefused'],
  ['user information', 'https://a:b@auth.corp.example/token', 'SourceAddressRefused'],
  ['no URL', 'token', 'SourceAddressRefused'],
])('credentials are not shown to a realm of %s', async (_what, realm, reason) => {
  const { calls, open } = session((url) => answer(url, 401, challenge(realm)), basic)
  await expect(open()).rejects.toMatchObject({ reason })
  expect(calls).toHaveLength(1)
})

test('without credentials any realm may be asked, since there is nothing to show', async () => {
  const realm = 'https://tokens.elsewhere.example/token'
  const { calls, open } = session(tokenReply(realm))
  expect((await open()).status).toBe(200)
  expect(calls.find(({ url }) => url.startsWith(realm))?.authorization).toBeUndefined()
})

test('an owner may name the token service', async () => {
  const realm = 'https://sso.elsewhere.example/token'
  const { open } = session(tokenReply(realm), { ...basic, realmOrigin: 'https://sso.elsewhere.example' })
  expect((await open()).status).toBe(200)
})

test.each([
  ['no JSON', 'nonsense'],
  ['no token', '{}'],
  ['a token with a line break', JSON.stringify({ token: 'a\r\nx-injected: 1' })],
  ['a number', JSON.stringify({ token: 1 })],
  ['too much', `"${'x'.repeat(100_000)}"`],
])('a token service that answers with %s is no use, and its words are not repeated', async (_what, body) => {
  const realm = 'https://auth.corp.example/token'
  const { open } = session(
    (url) => (url.href.startsWith(realm) ? answer(url, 200, {}, body) : answer(url, 401, challenge(realm))),
    basic,
  )
  const error = await open().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ reason: 'SourceUnreachable' })
  expect(String(error)).not.toContain('injected')
})

test('a token service that refuses or is busy says so', async () => {
  const realm = 'https://auth.corp.example/token'
  const status = (code: number) =>
    session(
      (url) =>
        url.href.startsWith(realm) ? answer(url, code, { 'retry-after': '7' }) : answer(url, 401, challenge(realm)),
      basic,
    )
  await expect(status(401).open()).rejects.toMatchObject({ reason: 'SourceForbidden', retry: 'after' })
  await expect(status(429).open()).rejects.toMatchObject({ reason: 'SourceUnreachable', afterSeconds: 7 })
})

test('Basic goes to a registry that asks for it, and a token does not pass for a password', async () => {
  const asks = (url: URL, authorization: string | undefined) =>
    authorization === basic.authorization
      ? answer(url, 200)
      : answer(url, 401, { 'www-authenticate': 'Basic realm="x"' })
  expect((await session(asks, basic).open()).status).toBe(200)
  const bearer = session(asks, { authorization: 'Bearer t' })
  expect((await bearer.open()).status).toBe(401)
  expect(bearer.calls).toHaveLength(1)
})

test.each([
  ['https://registry.gitlab.com', 'https://gitlab.com/jwt/auth', true],
  ['https://registry-1.docker.io', 'https://auth.docker.io/token', true],
  ['https://quay.io', 'https://quay.io/v2/auth', true],
  ['https://registry.example:5000', 'https://registry.example:5001/token', true],
  ['https://registry.example', 'https://auth.registry.example/token', true],
  ['https://quay.io', 'https://evil.io/token', false],
  ['https://registry.gitlab.com', 'https://notgitlab.com/', false],
  ['https://10.0.0.1', 'https://20.0.0.1/', false],
  ['https://[2001:db8::1]', 'https://[2001:db8::2]/', false],
])('credentials for %s may be shown to %s: %s', (registry, realm, expected) => {
  expect(mayKnow(new URL(realm), new URL(registry), undefined)).toBe(expected)
})

test('Retry-After is seconds or a date, and an hour at most', () => {
  const now = Date.parse('2026-11-23T00:00:00Z')
  expect(retryAfterSeconds('120', now)).toBe(120)
  expect(retryAfterSeconds('Mon, 23 Nov 2026 00:01:30 GMT', now)).toBe(90)
  expect(retryAfterSeconds('999999', now)).toBe(3600)
  for (const useless of [undefined, '', '-5', 'soon', '0', 'Sun, 22 Nov 2026 00:00:00 GMT'])
    expect(retryAfterSeconds(useless, now)).toBeUndefined()
})

test.each([
  ['registry.example:5000/models/triage', 'https://registry.example:5000/', 'models/triage'],
  ['docker.io/library/x', 'https://registry-1.docker.io/', 'library/x'],
])('%s is a registry and a name', (text, registry, name) => {
  const parsed = parseRepository(text)
  expect([parsed?.registry.href, parsed?.name]).toEqual([registry, name])
})

test('what makes no URL is no repository', () => {
  for (const text of ['', '/a', 'registry', 'registry.example:99999/a', 'a@b/c'])
    expect(parseRepository(text)).toBeUndefined()
})
