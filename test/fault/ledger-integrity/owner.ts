import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { type DataPath, startDataPath } from '@hansa/operator/gateway/data/start-data-path.ts'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials, memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import type { PostgresOptions } from '@hansa/operator/ledger/store/postgres-database.ts'
import { receiptSigner } from '@hansa/operator/owneridentity/sign-receipts.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { identityOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { freePorts } from '../../cluster/ports.ts'
import { type ScriptedCluster, scriptedCluster } from '../../integration/gateway/scripted-cluster.ts'
import { type Remote, startRemote } from '../../tools/process-calls.ts'
import type { GatewaySetup, ToWrite } from './gateway-process.ts'
import type { LedgerSetup, LedgerState } from './ledger-process.ts'
import { startSignServer } from './sign-server.ts'

const namespace = 'hansa-system'
const cluster = 'integrity.hansa'
const uriOf = (account: string) => `spiffe://${cluster}/ns/${namespace}/sa/${account}`

/** A gateway's book in its own process. */
export type Gateway = {
  folder: string
  start(): Promise<void>
  kill(): Promise<void>
  /** Which were acknowledged; none by a process that is dead. */
  write(records: readonly ToWrite[]): Promise<boolean[]>
  drain(): Promise<void>
}

/** One owner: a ledger and gateways' books as processes; the way to the peer and the operator's signing are in this one. */
export type Owner = {
  name: string
  owner: TestOwner
  cluster: ScriptedCluster
  data: DataPath
  folder: string
  gateways: readonly Gateway[]
  /** By how much the clocks of what starts next are wrong. */
  skewMilliseconds: number
  startLedger(): Promise<void>
  killLedger(): Promise<void>
  state(): Promise<LedgerState>
  /** Tells the ledger of changed objects. */
  changed(): Promise<void>
  stop(): Promise<void>
}

export type OwnerOptions = { peerName: string; gateways: number; postgres?: PostgresOptions | undefined }

export async function startOwner(name: string, { peerName, gateways, postgres }: OwnerOptions): Promise<Owner> {
  const owner = await testOwner(name)
  const authority = await createAuthority({ trustDomain: cluster })
  const scripted = scriptedCluster()
  scripted.identities = [identityOf(owner)]
  const folder = await mkdtemp(join(tmpdir(), `hansa-integrity-${name}-`))
  await mkdir(join(folder, 'ledger'))
  const [ledgerPort = 0, internalPort = 0] = await freePorts(2)
  const ledgerUrl = `https://127.0.0.1:${ledgerPort}`
  const data = await startDataPath(
    {
      ...{ host: '127.0.0.1', port: 0, internalPort, fetchUrl: 'https://127.0.0.1:1', ledgerUrl, trustDomain: cluster },
      limits: { maxStreams: 16, maxRequests: 16, bytesPerSecond: 2 ** 30, stallSeconds: 30 } as never,
    },
    {
      identity: await memoryIdentity(authority, uriOf('hansa-gateway')),
      client: scripted.client,
      startCredentials: async () => {
        const held = { ...(await owner.certificate('gateway')), caPem: owner.authority.caPem }
        return { current: () => held, onRenewed: () => () => undefined, close: async () => undefined }
      },
      ...{ clock: systemClock, random: Math.random, registry: new Registry() },
      log: createLogger('data', process.env.TEST_LOG_LEVEL ?? 'silent'),
    },
  )
  const made = { skewMilliseconds: 0 }
  const now = () => Date.now() + made.skewMilliseconds
  const sealingOf = async () => ({ bundle: owner.bundle, signerOf: owner.signerOf })
  const sign = receiptSigner({
    ...{ namespace, sealingOf, now, seal: createSeal({ sealingOf, clock: { now } }) },
    readPeer: async (peer) => scripted.peers.find(({ metadata }) => metadata.name === peer),
  })
  const requester = { namespace, serviceAccount: 'hansa-ledger' }
  const signing = await startSignServer(
    async (identityName, body) =>
      (await sign({ identityName, requester, body, signal: AbortSignal.timeout(10_000) })).envelope,
  )
  const gatewayCredentials = await issueCredentials(authority, uriOf('hansa-gateway'))
  const ledgerCredentials = await issueCredentials(authority, uriOf('hansa-ledger'))
  const objects = () => {
    const { identities, peers, remoteWorks, guestWorks } = scripted
    return { identities, peers, remoteWorks, guestWorks }
  }

  let ledger: Remote | undefined
  async function startLedger(): Promise<void> {
    const process = startRemote(join(import.meta.dirname, 'ledger-process.ts'))
    ledger = process
    const setup: LedgerSetup = {
      ...{ folder: join(folder, 'ledger'), trustDomain: cluster, uri: uriOf('hansa-ledger'), peerName, postgres },
      ...{ credentials: ledgerCredentials, port: ledgerPort, gatewayUrl: `https://127.0.0.1:${internalPort}` },
      ...{ signUrl: signing.url, skewMilliseconds: made.skewMilliseconds, objects: objects() },
    }
    await process.call('start', setup)
  }

  function gatewayOf(index: number): Gateway {
    const place = join(folder, `gateway-${index}`)
    let remote: Remote | undefined
    return {
      folder: place,
      start: async () => {
        const process = startRemote(join(import.meta.dirname, 'gateway-process.ts'))
        const setup: GatewaySetup = {
          ...{ folder: place, uri: uriOf('hansa-gateway'), credentials: gatewayCredentials, ledgerUrl, peerName },
          ...{ ledgerUri: uriOf('hansa-ledger'), skewMilliseconds: made.skewMilliseconds },
        }
        await process.call('start', setup)
        remote = process
      },
      kill: async () => {
        const process = remote
        remote = undefined
        await process?.stop()
      },
      write: async (records) =>
        (await remote?.call<boolean[]>('write', records).catch(() => undefined)) ?? records.map(() => false),
      drain: async () => {
        await remote?.call('drain')
        await remote?.stop()
        remote = undefined
      },
    }
  }

  const books = Array.from({ length: gateways }, (_, index) => gatewayOf(index))
  return Object.assign(made, {
    ...{ name, owner, cluster: scripted, data, folder, gateways: books, startLedger },
    killLedger: async () => {
      const process = ledger
      ledger = undefined
      await process?.stop()
    },
    state: () => ledger?.call<LedgerState>('state') ?? Promise.reject(new Error('the ledger does not run')),
    changed: async () => {
      scripted.changed()
      await ledger?.call('objects', objects())
    },
    stop: async () => {
      await ledger?.stop()
      await Promise.all(books.map((book) => book.kill()))
      await Promise.all([data.close(), signing.close()])
      await rm(folder, { recursive: true, force: true })
    },
  })
}
