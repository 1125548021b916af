import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RequestFacts } from '../../cluster/fault-proxy/request-facts.ts'
import { type FaultProxy, startFaultProxy } from '../../cluster/fault-proxy/start.ts'
import { type ApiClient, createApiClient } from '../../cluster/owner/api-request.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from './eventually.ts'
import { type ClientWatch, openWatch } from './watch-client.ts'

let owner: Owner
let proxy: FaultProxy
let client: ApiClient
let token: string

const path = '/api/v1/namespaces/default/configmaps'
const isOurs = (facts: RequestFacts) => facts.resource === 'configmaps'

beforeAll(async () => {
  owner = await startOwner({ name: 'stmary' })
  await owner.kubectl(['create', 'serviceaccount', 'tester'])
  await owner.kubectl(['create', 'clusterrolebinding', 't', '--clusterrole=admin', '--serviceaccount=default:tester'])
  token = await owner.createToken('tester', 'default')
  proxy = await startFaultProxy({ owner })
  client = createApiClient(proxy.url, proxy.caPem)
})

afterEach(async () => {
  proxy.reset()
  await owner.kubectl(['delete', 'configmaps', '-l', 'test'])
})

afterAll(async () => {
  await client?.close()
  await proxy?.stop()
  await owner?.stop()
})

const send = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) =>
  client.send({ method, path, token, timeoutMilliseconds: 15_000, ...(body === undefined ? {} : { body }) })
const create = (name: string) => send('POST', path, { metadata: { name, labels: { test: '' } } })
const exists = async (name: string) => (await owner.request({ path: `${path}/${name}` })).status === 200
const watch = (query = 'labelSelector=test') =>
  openWatch({ url: proxy.url, caPem: proxy.caPem, token, path: `${path}?watch=1&${query}` })
const sees = (seen: ClientWatch, names: string[]) => eventually(() => expect(seen.names()).toEqual(names))

test('without rules requests, answers and watches pass unchanged', async () => {
  const seen = await watch()
  expect(await create('plain')).toMatchObject({ status: 201, body: { metadata: { name: 'plain' } } })
  expect(await send('GET', `${path}/plain`)).toMatchObject({ status: 200 })
  expect(await create('plain')).toMatchObject({ status: 409, body: { reason: 'AlreadyExists' } })
  await sees(seen, ['plain'])
  expect(proxy.counts(isOurs)).toEqual({
    'watch-client watch configmaps': 1,
    'hansa-test-cluster create configmaps': 2,
    'hansa-test-cluster get configmaps': 1,
  })
  expect(proxy.perMinute(isOurs)).toEqual([4])
  expect(proxy.writes().map((write) => [write.facts.writeIndex, write.status])).toEqual([
    [1, 201],
    [2, 409],
  ])
  seen.close()
  await eventually(() => expect(proxy.watches()).toEqual([]))
})

test('kubectl works through it as a service account, and nobody works without a token', async () => {
  const kubeconfig = await proxy.kubeconfig({ serviceAccount: 'tester', namespace: 'default' })
  const run = (...args: string[]) => owner.kubectl([`--kubeconfig=${kubeconfig}`, ...args])
  expect(await run('create', 'configmap', 'by-kubectl')).toMatchObject({ code: 0 })
  expect((await run('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).stdout).toBe(
    'system:serviceaccount:default:tester',
  )
  await run('delete', 'configmap', 'by-kubectl')
  expect((await client.send({ path, token: 'forged' })).status).toBe(401)
  const asAdmin = createApiClient(
    proxy.url,
    proxy.caPem,
    await owner.issueCertificate({ commonName: 'x', organizations: ['system:masters'] }),
  )
  expect((await asAdmin.send({ path })).status).toBe(403)
  await asAdmin.close()
})

test('heartbeats, dry runs, reviews and tokens do not count as writes', async () => {
  await send('POST', `${path}?dryRun=All`, { metadata: { name: 'dry' } })
  await send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { spec: {} })
  await send('POST', '/apis/coordination.k8s.io/v1/namespaces/default/leases', { metadata: { name: 'beat' } })
  await send('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', { spec: {} })
  expect(proxy.writes()).toEqual([])
  expect(proxy.requests()).toHaveLength(4)
})

test('the n-th write alone is refused with the status that the rule says', async () => {
  for (const status of [409, 429, 500]) {
    proxy.reset()
    proxy.inject({ type: 'Respond', status, retryAfterSeconds: 2 }, { when: (facts) => facts.writeIndex === 2 })
    expect((await create(`first-${status}`)).status).toBe(201)
    expect(await create(`second-${status}`)).toMatchObject({ status, body: { code: status, kind: 'Status' } })
    expect((await create(`third-${status}`)).status).toBe(201)
    expect(await exists(`second-${status}`)).toBe(false)
    expect(proxy.writes().map((write) => write.upstreamStatus)).toEqual([201, undefined, 201])
  }
})

test('kubectl waits as long as Retry-After tells it', async () => {
  const kubeconfig = await proxy.kubeconfig({ token })
  const rule = proxy.inject({ type: 'Respond', status: 429, retryAfterSeconds: 1 }, { when: isOurs, times: 1 })
  const began = Date.now()
  expect(await owner.kubectl([`--kubeconfig=${kubeconfig}`, 'get', 'configmaps'])).toMatchObject({ code: 0 })
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_000)
  expect(rule.hits).toHaveLength(1)
})

test('a list is refused with 410 as often as the rule says', async () => {
  proxy.inject({ type: 'Respond', status: 410 }, { when: (facts) => facts.isList, times: 2 })
  expect(await send('GET', path)).toMatchObject({ status: 410, body: { reason: 'Expired' } })
  expect((await send('GET', path)).status).toBe(410)
  expect((await send('GET', path)).status).toBe(200)
})

test('a write is applied and its reply lost', async () => {
  proxy.inject({ type: 'LoseReply' }, { when: (facts) => facts.writeIndex === 1 })
  await expect(create('unheard')).rejects.toThrow()
  expect(await exists('unheard')).toBe(true)
  expect(proxy.writes()[0]).toMatchObject({ status: undefined, upstreamStatus: 201, fault: 'LoseReply' })
})

test('a cut request never reaches the API server', async () => {
  proxy.inject({ type: 'Cut' }, { when: (facts) => facts.writeIndex === 1 })
  await expect(create('cut')).rejects.toThrow()
  expect(await exists('cut')).toBe(false)
})

test('something runs before or after the n-th write', async () => {
  const seen: string[] = []
  const note = (at: 'before' | 'after', name: string) => async () => {
    seen.push(`${at} ${name}: ${(await exists(name)) ? 'there' : 'not there'}`)
  }
  const inject = (nth: number, at: 'before' | 'after', name: string, outcome: 'pass' | 'cut') =>
    proxy.inject({ type: 'Call', at, run: note(at, name), outcome }, { when: (facts) => facts.writeIndex === nth })
  inject(1, 'before', 'a', 'pass')
  inject(2, 'after', 'b', 'pass')
  inject(3, 'before', 'c', 'cut')
  inject(4, 'after', 'd', 'cut')
  expect((await create('a')).status).toBe(201)
  expect((await create('b')).status).toBe(201)
  await expect(create('c')).rejects.toThrow()
  await expect(create('d')).rejects.toThrow()
  expect(seen).toEqual(['before a: not there', 'after b: there', 'before c: not there', 'after d: there'])
  expect([await exists('c'), await exists('d')]).toEqual([false, true])
})

test('a list comes as it was when the fault was injected', async () => {
  const query = `${path}?labelSelector=test`
  const names = async () =>
    ((await send('GET', query)).body as { items: { metadata: { name: string } }[] }).items.map(
      (item) => item.metadata.name,
    )
  await create('old')
  expect(await names()).toEqual(['old'])
  const rule = proxy.inject({ type: 'StaleList' }, { when: isOurs })
  await create('young')
  expect(await names()).toEqual(['old'])
  rule.remove()
  expect(await names()).toEqual(['old', 'young'])
})

test('a list that was never asked for is the old one from then on', async () => {
  proxy.inject({ type: 'StaleList' }, { when: isOurs, times: 1 })
  const query = `${path}?labelSelector=test`
  const count = async () => ((await send('GET', query)).body as { items: unknown[] }).items.length
  expect(await count()).toBe(0)
  await create('young')
  expect(await count()).toBe(0)
  expect(await count()).toBe(1)
})

test('a watch is dropped after so many events', async () => {
  proxy.inject({ type: 'DropWatch', afterEvents: 1 })
  const seen = await watch()
  await create('one')
  await eventually(() => expect(seen.state).toBe('broken'))
  expect(seen.names()).toEqual(['one'])
})

test('a watch falls silent and its connection stays', async () => {
  proxy.inject({ type: 'Silence', afterEvents: 1 }, { when: (facts) => facts.isWatch })
  const seen = await watch()
  await create('heard')
  await create('unheard')
  await sees(seen, ['heard'])
  await eventually(() => expect(proxy.watches()[0]).toMatchObject({ events: 2, silent: true }))
  expect(seen.state).toBe('open')
  proxy.reset()
  await eventually(() => expect(seen.state).toBe('broken'))
})

test('the n-th event of a watch is lost', async () => {
  proxy.inject({ type: 'SwallowEvent', nth: 2 })
  const seen = await watch()
  for (const name of ['one', 'two', 'three']) await create(name)
  await sees(seen, ['one', 'three'])
})

test('a watch ends with an ERROR event of code 410', async () => {
  proxy.inject({ type: 'ExpireWatch', afterEvents: 1 })
  const seen = await watch()
  await create('one')
  await eventually(() => expect(seen.state).toBe('ended'))
  expect(seen.events.map((event) => event.type)).toEqual(['ADDED', 'ERROR'])
  expect(seen.events[1]?.object.code).toBe(410)
})

test('the events of a watch come late and in order', async () => {
  proxy.inject({ type: 'Delay', milliseconds: 500 }, { when: (facts) => facts.isWatch })
  const seen = await watch()
  const began = Date.now()
  await create('one')
  await create('two')
  await sees(seen, ['one', 'two'])
  expect(Date.now() - began).toBeGreaterThanOrEqual(500)
})

test('open watches are broken while they run', async () => {
  const [silenced, dropped, expired, lossy] = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => watch(`labelSelector=test&x=${name}`)),
  )
  const open = (name: string) => proxy.watches((facts) => facts.query.get('x') === name)[0]
  await create('before')
  for (const seen of [silenced, dropped, expired, lossy]) if (seen) await sees(seen, ['before'])
  open('a')?.silence()
  open('b')?.drop()
  open('c')?.expire()
  open('d')?.swallow()
  await create('during')
  await create('after')
  await eventually(() => {
    expect(silenced).toMatchObject({ state: 'open' })
    expect(dropped).toMatchObject({ state: 'broken' })
    expect(expired).toMatchObject({ state: 'ended' })
    expect(lossy?.names()).toEqual(['before', 'after'])
  })
  expect(silenced?.names()).toEqual(['before'])
  expect(expired?.events.at(-1)?.type).toBe('ERROR')
  lossy?.close()
})

test('a silent request gets no answer', async () => {
  proxy.inject({ type: 'Silence' }, { when: isOurs, times: 1 })
  const ask = client.send({ path, token, timeoutMilliseconds: 500 })
  await expect(ask).rejects.toThrow(/aborted|timeout/i)
  expect((await send('GET', path)).status).toBe(200)
})

test('connections are refused and then accepted on the same port', async () => {
  const seen = await watch()
  await proxy.refuseConnections()
  await eventually(() => expect(seen.state).toBe('broken'))
  await expect(send('GET', path)).rejects.toThrow(/ECONNREFUSED/)
  await proxy.acceptConnections()
  expect((await send('GET', path)).status).toBe(200)
})

test('a watch breaks with the API server behind it, and the proxy finds it again', async () => {
  const seen = await watch()
  await owner.parts.apiserver.kill()
  await eventually(() => expect(seen.state).toBe('broken'))
  await expect(send('GET', path)).rejects.toThrow()
  await owner.parts.apiserver.start()
  await eventually(async () => expect((await send('GET', path)).status).toBe(200))
})
