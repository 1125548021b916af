import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { dateTimeOf } from '@hansa/operator/federation/date-time.ts'
import { signEnvelope } from '@hansa/operator/federation/dsse.ts'
import { messageKinds } from '@hansa/operator/federation/messages.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { type DataPath, startDataPath } from '@hansa/operator/gateway/data/start-data-path.ts'
import { type OpenBook, openReceiptBook } from '@hansa/operator/gateway/receipts/open-receipt-book.ts'
import { postRecords } from '@hansa/operator/gateway/receipts/post-records.ts'
import type { SeenAnswer, SentRequest } from '@hansa/operator/gateway/receipts/receipt-book.ts'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import type { LedgerTimes } from '@hansa/operator/ledger/deps.ts'
import { commitment, type Receipt } from '@hansa/operator/ledger/receipt.ts'
import { type Ledger, serveLedger } from '@hansa/operator/ledger/serve-ledger.ts'
import { createLedgerStore } from '@hansa/operator/ledger/store/create-store.ts'
import { openSqlite } from '@hansa/operator/ledger/store/sqlite-database.ts'
import type { LedgerStore } from '@hansa/operator/ledger/store/store.ts'
import { receiptSigner } from '@hansa/operator/owneridentity/sign-receipts.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { work } from '../../builders/remote-work.ts'
import { freePorts } from '../../cluster/ports.ts'
import { type ScriptedCluster, scriptedCluster } from '../gateway/scripted-cluster.ts'

const trustDomain = 'test.hansa'
const namespace = 'hansa-system'
const log = createLogger('ledger', process.env.TEST_LOG_LEVEL ?? 'silent')
export const price = { currency: 'EUR', microsPerGPUHour: 360_000 }
const quick: LedgerTimes = {
  claimMilliseconds: 200,
  deliverMilliseconds: 100,
  checkpointMilliseconds: 200,
  settleWaitMilliseconds: 1500,
  restoreWaitMilliseconds: 1000,
}

/** One owner: a ledger on SQLite, a gateway's data path and book, over real TLS; the API server is scripted, the operator signs in this process. */
export type LedgerOwner = {
  name: string
  owner: TestOwner
  cluster: ScriptedCluster
  data: DataPath
  book: OpenBook
  ledger: Ledger
  store: LedgerStore
  registry: Registry
  /** Of the ledger that runs now. */
  ledgerRegistry: Registry
  folder: string
  /** Ends the ledger as it is, and starts another on the same books, or on those of a file. */
  restartLedger(changes?: { file?: string }): Promise<void>
  stopLedger(): Promise<void>
  startLedger(changes?: { file?: string }): Promise<void>
  openBook(): Promise<void>
}

export type LedgerOwnerOptions = {
  times?: Partial<LedgerTimes>
  caps?: { maxUnagreedReceipts: number; maxUnagreedGPUSeconds: number }
  /** Changes what is to be signed, as a ledger that lies would. */
  lie?: (body: unknown) => unknown
}

export async function startLedgerOwner(name: string, options: LedgerOwnerOptions = {}): Promise<LedgerOwner> {
  const owner = await testOwner(name)
  const authority = await createAuthority({ trustDomain })
  const cluster = scriptedCluster()
  cluster.identities = [identityOf(owner)]
  const folder = await mkdtemp(join(tmpdir(), `hansa-ledger-${name}-`))
  const [ledgerPort = 0, internalPort = 0] = await freePorts(2)
  const ledgerUrl = `https://127.0.0.1:${ledgerPort}`
  const uri = (account: string) => `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`
  const gatewayIdentity = await memoryIdentity(authority, uri('hansa-gateway'))
  const registry = new Registry()
  const data = await startDataPath(
    {
      host: '127.0.0.1',
      port: 0,
      internalPort,
      fetchUrl: 'https://127.0.0.1:1',
      ledgerUrl,
      trustDomain,
      limits: { maxStreams: 16, maxRequests: 16, bytesPerSecond: 2 ** 30, stallSeconds: 30 } as never,
    },
    {
      identity: gatewayIdentity,
      client: cluster.client,
      startCredentials: async () => {
        const held = { ...(await owner.certificate('gateway')), caPem: owner.authority.caPem }
        return { current: () => held, onRenewed: () => () => undefined, close: async () => undefined }
      },
      clock: systemClock,
      random: Math.random,
      log,
      registry,
    },
  )
  const made: Partial<LedgerOwner> = {}
  const post = postRecords({ url: ledgerUrl, uri: uri('hansa-ledger'), identity: gatewayIdentity })

  async function openBook(): Promise<void> {
    made.book = await openReceiptBook({
      folder: join(folder, 'receipts'),
      maxBytes: 1 << 28,
      idleMilliseconds: 100,
      drainMilliseconds: 0,
      post,
      clock: systemClock,
      log,
    })
  }

  async function startLedger({ file = 'ledger.db' }: { file?: string } = {}): Promise<void> {
    const store = createLedgerStore(openSqlite(join(folder, file)))
    made.store = store
    const ledgerRegistry = new Registry()
    made.ledgerRegistry = ledgerRegistry
    made.ledger = await serveLedger(
      {
        host: '127.0.0.1',
        namespace,
        trustDomain,
        port: ledgerPort,
        auditorsPort: 0,
        stateDir: folder,
        retention: { saltDays: 30, receiptDays: 400 },
        probesPort: 0,
        gatewayUrl: `https://127.0.0.1:${internalPort}`,
        times: { ...quick, ...options.times },
        caps: options.caps ?? { maxUnagreedReceipts: 1000, maxUnagreedGPUSeconds: 1_000_000 },
      },
      {
        identity: await memoryIdentity(authority as Authority, uri('hansa-ledger')),
        client: cluster.client,
        store,
        sign: signerOf(owner, cluster, options.lie),
        log,
        registry: ledgerRegistry,
      },
    )
  }

  async function stopLedger(): Promise<void> {
    const { ledger, store } = made
    delete made.ledger
    await ledger?.close()
    if (ledger !== undefined) await store?.close()
  }

  await startLedger()
  await openBook()
  onTestFinished(async () => {
    await made.book?.close()
    await post.close()
    await stopLedger()
    await data.close()
    await rm(folder, { recursive: true, force: true })
  })
  return Object.assign(made, {
    ...{ name, owner, cluster, data, registry, folder, startLedger, stopLedger, openBook },
    restartLedger: async (changes?: { file?: string }) => {
      await stopLedger()
      await startLedger(changes)
    },
  }) as LedgerOwner
}

/** The operator's side of signing, with the owner's own key. */
function signerOf(owner: TestOwner, cluster: ScriptedCluster, lie: (body: unknown) => unknown = (body) => body) {
  const sealingOf = async () => ({ bundle: owner.bundle, signerOf: owner.signerOf })
  const sign = receiptSigner({
    namespace,
    readPeer: async (name) => cluster.peers.find(({ metadata }) => metadata.name === name),
    seal: createSeal({ sealingOf, clock: systemClock }),
    sealingOf,
    now: Date.now,
  })
  const requester = { namespace, serviceAccount: 'hansa-ledger' }
  return async (identityName: string, body: unknown, signal: AbortSignal) =>
    (await sign({ identityName, requester, body: lie(body), signal })).envelope
}

/** Makes both Peers of each other; `one` dials. */
export function join2(one: LedgerOwner, other: LedgerOwner): void {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    const peer = peerOf(there.owner, there.name)
    const spec: Partial<Peer['spec']> =
      here === one ? { dial: 'Us', dataAddress: there.data.address } : { dial: 'Them' }
    here.cluster.peers = [...here.cluster.peers, { ...peer, spec: { ...peer.spec, ...spec } }]
    here.cluster.changed()
  }
}

export type Lent = { requestId: string; epoch: number; remote: RemoteWork; guest: GuestWork; changed(): void }

/** What `from` asked of `to`, granted: two workers of one GPU. */
export async function lend(from: LedgerOwner, to: LedgerOwner, suffix = '1', epoch = 7): Promise<Lent> {
  const requestId = `00000000-0000-4000-8000-${suffix.padStart(12, '0')}`
  const asked = work({ replicas: 2, resources: { limits: { 'nvidia.com/gpu': '1' } } })
  const now = Date.now()
  const remote: RemoteWork = {
    apiVersion,
    kind: 'RemoteWork',
    metadata: {
      name: `digits-${suffix}`,
      namespace: 'apps',
      uid: requestId,
      labels: { 'hansa.dev/inference-service': 'digits' },
    },
    spec: { peerRef: { name: to.name }, work: asked },
    status: {
      answer: { decision: 'Granted', sequence: 1 },
      lease: { epoch, ttlSeconds: 60, signedTime: dateTimeOf(now), state: 'Active', price },
    },
  }
  const cluster = ({ bundle }: TestOwner) => ({ trustDomain: bundle.trustDomain, clusterName: bundle.clusterName })
  const head = { version: 1, issuer: cluster(from.owner), audience: cluster(to.owner), sequence: 1 }
  const times = { issued: dateTimeOf(now), expires: dateTimeOf(now + 60_000) }
  const request = await signEnvelope(
    messageKinds.Request.payloadType,
    { ...head, ...times, requestId, work: asked },
    from.owner.keys.Request,
    new AbortController().signal,
  )
  const guest: GuestWork = {
    apiVersion,
    kind: 'GuestWork',
    metadata: { name: `guest-${suffix}`, namespace },
    spec: { peerRef: { name: from.name }, requestId, request },
    status: {
      decision: 'Granted',
      lease: {
        epoch,
        ttlSeconds: 60,
        grantedTime: dateTimeOf(now),
        expiresTime: dateTimeOf(now + 60_000),
        renewals: 0,
        price,
      },
      local: { namespace: 'guests', inferenceServiceName: 'digits' },
      gpuSeconds: 0,
    },
  }
  from.cluster.remoteWorks = [...from.cluster.remoteWorks, remote]
  to.cluster.guestWorks = [...to.cluster.guestWorks, guest]
  const changed = () => {
    from.cluster.changed()
    to.cluster.changed()
  }
  changed()
  return { requestId, epoch, remote, guest, changed }
}

const hash = (text: string) => createHash('sha256').update(text).digest()

export type Call = { receipt: Receipt; salt: string; sent: SentRequest; seen: SeenAnswer }

/** One request with its answer, as both gateways would write it down. */
export function call(lent: Lent, changes: Partial<Receipt> = {}): Call {
  const { requestId, epoch } = lent
  const id = randomBytes(16).toString('base64url')
  const salt = randomBytes(16)
  const of = (what: 'request' | 'response' | 'caller') => commitment(what, salt, hash(`${what} ${id}`))
  const about = {
    model: hash('model').toString('hex'),
    caller: of('caller'),
    dataClass: 'Internal',
    purpose: 'Inference',
  } as const
  const measured = {
    request: of('request'),
    response: of('response'),
    requestBytes: 100,
    responseBytes: 1000,
    status: 200,
  }
  const receipt: Receipt = {
    version: 1,
    ...{ requestId, epoch, id, ended: dateTimeOf(Date.now()) },
    ...about,
    ...measured,
    ...{ inputTokens: 0, outputTokens: 0, busyGPUMilliseconds: 5, price },
    ...changes,
  }
  const text = salt.toString('base64url')
  return {
    receipt,
    salt: text,
    sent: { id, requestId, epoch, ...about, salt: text, callerName: 'somebody', namespace: 'apps', service: 'digits' },
    seen: { id, requestId, epoch, ...measured, receipt, whole: true },
  }
}

/** Writes calls into both books. */
export async function write(from: LedgerOwner, to: LedgerOwner, calls: readonly Call[]): Promise<void> {
  await Promise.all(
    calls.flatMap(({ receipt, salt, sent, seen }) => [
      from.book.sent(to.name, sent),
      to.book.served(from.name, receipt, salt),
      from.book.seen(to.name, seen),
    ]),
  )
}

/** All claims of one side, with their receipts. */
export async function claimsOf(of: LedgerOwner, side: 'Executor' | 'Requester') {
  const claims = await of.store.claims({ side, limit: 1000 })
  return Promise.all(
    claims.map(async (claim) => ({
      ...claim,
      leaves: (await of.store.receiptsOfClaim(claim, claim.number, undefined, 100_000)).map(({ leaf }) => leaf),
    })),
  )
}
