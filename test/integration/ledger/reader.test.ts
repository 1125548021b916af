import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { memoryIo } from '../../../operator/src/cli/memory-io.ts'
import { runProgram } from '../../../operator/src/cli/run-program.ts'
import { createAuthority } from '../../../operator/src/identity/authority.ts'
import { memoryIdentity } from '../../../operator/src/identity/memory-identity.ts'
import type { KubeClient } from '../../../operator/src/kube/client-types.ts'
import { systemClock } from '../../../operator/src/kube/clock.ts'
import type { KnownPeer } from '../../../operator/src/ledger/deps.ts'
import { startReaders } from '../../../operator/src/ledger/reader/start-readers.ts'
import type { SignBody } from '../../../operator/src/ledger/sign-body.ts'
import type { LedgerStore } from '../../../operator/src/ledger/store/store.ts'
import { peerOf, testOwner } from '../../builders/federation.ts'
import {
  claimOver,
  leafOf,
  receipt,
  requested,
  settlementOf,
  signClaim,
  signSettlement,
  start,
} from '../../builders/ledger.ts'
import { clusterOf, ledgerOf, type Owners } from '../../builders/ledger-export.ts'

const namespace = 'hansa-system'
let folder: string
let owners: Owners
let store: LedgerStore
let reader: Awaited<ReturnType<typeof startReaders>>
let caPem: string
let token: (claims?: object) => Promise<string>
let account = 'hansa-auditor'

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-reader-'))
  const [executor, requester, witness] = await Promise.all(
    ['hospital', 'university', 'witness'].map((name) => testOwner(name, { now: start - 3_600_000 })),
  )
  if (executor === undefined || requester === undefined || witness === undefined) throw new Error('no owners')
  for (const owner of [executor, requester, witness]) {
    const roleKeys = owner.bundle.roleKeys.map((key) => ({ ...key, notAfter: '2026-12-24T00:00:00Z' }))
    await owner.publish({ roleKeys })
  }
  owners = { executor, requester, witness }
  store = await ledgerOf(owners)
  await store.saveGrant({
    ...{ side: 'Executor', peer: 'university', requestId: receipt(0).requestId, epoch: 1, identity: 'main' },
    ...{ namespace: 'guests', service: 'papers', costCentre: '=1+1', dataClass: 'Internal', purpose: 'Triage' },
    ...{ reservedGPUSeconds: 180, preemptedGPUSeconds: 7 },
  })
  await disputedClaim()

  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }
  const issuer = 'https://cluster.test'
  token = (claims = {}) =>
    new SignJWT({ iss: issuer, aud: ['hansa-ledger'], sub: `system:serviceaccount:${namespace}:${account}`, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)
  const authority = await createAuthority({ trustDomain: 'cluster.test', clock: () => new Date() })
  caPem = authority.caPem
  const raw: KubeClient['raw'] = async (_method, path) =>
    path.endsWith('jwks') ? jwks : { issuer, jwks_uri: `${issuer}/openid/v1/jwks` }
  const known: KnownPeer = {
    name: 'university',
    peer: peerOf(requester, 'university'),
    identity: 'main',
    ownBundle: executor.bundle,
  }
  const sign = async (_identity: string, body: SignBody) => {
    if (body.kind !== 'Settlement') throw new Error('only settlements are signed here')
    const kept = await store.claim(requested, 1)
    if (kept === undefined) throw new Error('no claim')
    const parties = { issuer: clusterOf(executor), audience: clusterOf(requester) }
    const settlement = settlementOf(kept.claim, kept.payloadSha256, parties, body.message)
    return (await signSettlement(settlement, executor.keys.Receipt)).envelope
  }
  reader = await startReaders({
    ...{
      host: '127.0.0.1',
      port: 0,
      namespace,
      stateDir: folder,
      store,
      sign,
      clock: systemClock,
      random: Math.random,
    },
    identity: await memoryIdentity(authority, `spiffe://cluster.test/ns/${namespace}/sa/hansa-ledger`),
    // Of the API server the reader reads the issuer's keys alone.
    client: { raw } as unknown as KubeClient,
    peers: { get: (name) => (name === known.name ? known : undefined), list: () => [known], identities: () => [] },
    log: pino({ level: 'silent' }),
  })
})

afterAll(async () => {
  await reader?.close()
  await store?.close()
  await rm(folder, { recursive: true, force: true })
})

/** A claim of the university to us that we dispute. */
async function disputedClaim(): Promise<void> {
  const { executor, requester } = owners
  const parties = { issuer: clusterOf(requester), audience: clusterOf(executor) }
  const claim = await signClaim(claimOver([receipt(90)], parties), requester.keys.Receipt)
  await store.saveGrant({
    ...{ ...requested, identity: 'main', namespace: 'library', service: 'papers', dataClass: 'Internal', purpose: 'X' },
    ...{ reservedGPUSeconds: 60, preemptedGPUSeconds: 0 },
  })
  await store.saveClaim(requested, 'main', claim, [leafOf(receipt(90))], start)
  const disputes = [{ reason: 'ReceiptUnknown', message: 'none of our gateways has sent this request' }]
  const back = { issuer: parties.audience, audience: parties.issuer }
  const said = settlementOf(claim.message, claim.payloadSha256, back, { state: 'Disputed', disputes })
  await store.saveSettlement(requested, 'main', await signSettlement(said, executor.keys.Receipt), start)
}

/** The command line, with an API server that has the trust bundle and makes tokens. */
async function hansa(...args: string[]) {
  const raw: KubeClient['raw'] = async (method, path) => {
    if (method === 'GET' && path === `/api/v1/namespaces/${namespace}/configmaps/hansa-trust`) {
      return { data: { 'ca.pem': caPem } }
    }
    if (method === 'POST' && path === `/api/v1/namespaces/${namespace}/serviceaccounts/hansa-auditor/token`) {
      return { status: { token: await token() } }
    }
    throw new Error(`unexpected call ${method} ${path}`)
  }
  const io = memoryIo()
  const client = { raw, close: async () => undefined } as unknown as KubeClient
  const code = await runProgram(args, {
    io,
    connect: async () => client,
    version: 'test',
    signal: new AbortController().signal,
  })
  return { code, out: io.output(), err: io.errors() }
}

const at = () => ['--url', reader.url]

test('an export that was fetched verifies, and fails once a byte of it is changed', async () => {
  const path = join(folder, 'november.jsonl')
  const fetched = await hansa('ledger', 'export', '--peer', 'university', '--month', '2026-11', '-o', path, ...at())
  expect(fetched).toMatchObject({ code: 0, err: expect.stringContaining('ledger verify') })
  const { trustDomain } = owners.executor.bundle
  const good = await hansa('ledger', 'verify', path, '--root-key', trustDomain)
  expect(good).toMatchObject({ code: 0, out: expect.stringContaining('Verified.') })
  expect(good.out).toContain(trustDomain)
  const bytes = await readFile(path)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  const forged = join(folder, 'forged.jsonl')
  await writeFile(forged, bytes)
  expect(await hansa('ledger', 'verify', forged)).toMatchObject({
    code: 1,
    out: expect.stringContaining('NOT verified'),
  })
  expect(await hansa('ledger', 'verify', join(folder, 'none'))).toMatchObject({ code: 4 })
  expect(await hansa('ledger', 'verify', path, '--root-key', owners.witness.bundle.trustDomain)).toMatchObject({
    code: 1,
  })
})

test('a statement has what was given and taken, and its CSV no formulas', async () => {
  const table = await hansa('ledger', 'statement', '--month', '2026-11', ...at())
  expect(table.out).toMatch(/university +gave +guests\/papers +=1\+1 +12 /)
  const csv = await hansa('ledger', 'statement', '--peer', 'university', '--month', '2026-11', '-o', 'csv', ...at())
  expect(csv.out).toContain(`university,Executor,guests,papers,'=1+1,EUR,3,12,`)
  const json = await hansa('ledger', 'statement', '--month', '2026-11', '-o', 'json', ...at())
  expect(JSON.parse(json.out)).toMatchObject({
    balances: [{ peer: 'hospital' }, { peer: 'university', givenGPUSeconds: 180 }],
  })
  expect(await hansa('ledger', 'statement', '--month', '2026-13', ...at())).toMatchObject({ code: 2 })
})

test('a dispute is listed with its reasons, and taken back for good', async () => {
  const name = `${receipt(0).requestId}/1/1`
  const list = await hansa('ledger', 'dispute', 'list', ...at())
  expect(list.out).toContain(name)
  expect((await hansa('ledger', 'dispute', 'show', name, ...at())).out).toContain('none of our gateways')
  const withdraw = ['ledger', 'dispute', 'withdraw', name, '--peer', 'hospital', ...at()]
  expect(await hansa(...withdraw)).toMatchObject({ code: 2 })
  expect(await hansa(...withdraw, '--yes')).toMatchObject({ code: 0 })
  expect(await store.claim(requested, 1)).toMatchObject({ state: 'Agreed' })
  expect(await hansa(...withdraw, '--yes')).toMatchObject({ code: 3, err: expect.stringContaining('not Disputed') })
})

test('events come as lines for a SIEM system, from where one stopped', async () => {
  const all = (await hansa('ledger', 'export', '--format', 'siem', '-o', '-', ...at())).out.trim().split('\n')
  expect(JSON.parse(all[0] ?? '')).toEqual({
    ...{ sequence: 1, time: '2026-11-02T10:00:00.000Z', source: 'hansa-ledger', event: 'ClaimMade', severity: 'info' },
    ...{ peer: 'university', requestId: receipt(0).requestId, epoch: 1, claim: 1 },
  })
  const rest = (await hansa('ledger', 'export', '--format', 'siem', '--after', '2', '-o', '-', ...at())).out
  expect(rest.trim().split('\n')).toEqual(all.slice(2))
})

test('only the auditor of the right namespace, with a token for the ledger, reads anything', async () => {
  const call = () => hansa('ledger', 'statement', '--month', '2026-11', ...at())
  account = 'default'
  expect(await call()).toMatchObject({ code: 3, err: expect.stringContaining('hansa-auditor') })
  account = 'hansa-auditor'
  const good = token
  for (const claims of [
    { aud: ['hansa'] },
    { sub: `system:serviceaccount:apps:hansa-auditor` },
    { iss: 'https://x' },
  ]) {
    token = () => good(claims)
    expect(await call()).toMatchObject({ code: 3, out: '' })
  }
  token = good
  expect(await call()).toMatchObject({ code: 0 })
  expect(await hansa('ledger', 'statement', '--month', '2026-11', '--url', 'http://127.0.0.1:1')).toMatchObject({
    code: 2,
  })
})
