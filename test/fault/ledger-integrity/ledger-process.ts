import { join } from 'node:path'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import type { Credentials } from '@hansa/operator/identity/identity.ts'
import { type Ledger, serveLedger } from '@hansa/operator/ledger/serve-ledger.ts'
import { createLedgerStore } from '@hansa/operator/ledger/store/create-store.ts'
import { openPostgres, type PostgresOptions } from '@hansa/operator/ledger/store/postgres-database.ts'
import { openSqlite } from '@hansa/operator/ledger/store/sqlite-database.ts'
import type { LedgerStore } from '@hansa/operator/ledger/store/store.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { scriptedCluster } from '../../integration/gateway/scripted-cluster.ts'
import { answerCalls } from '../../tools/process-calls.ts'
import { givenIdentity, skewedClock } from './child-identity.ts'

export type ClusterObjects = {
  identities: OwnerIdentity[]
  peers: Peer[]
  remoteWorks: RemoteWork[]
  guestWorks: GuestWork[]
}

export type LedgerSetup = {
  folder: string
  trustDomain: string
  uri: string
  credentials: Credentials
  port: number
  gatewayUrl: string
  signUrl: string
  peerName: string
  skewMilliseconds: number
  postgres?: PostgresOptions | undefined
  objects: ClusterObjects
}

export type LedgerState = {
  problem: string | undefined
  size: number
  /** Size of the peer's log that we have witnessed. */
  witnessed: number
  /** What is still to be done; empty when nothing is. */
  open: string[]
}

const cluster = scriptedCluster()
let running: { ledger: Ledger; store: LedgerStore; peerName: string } | undefined

answerCalls({
  start: async (setup: LedgerSetup) => {
    const { folder, trustDomain, uri, credentials, port, gatewayUrl, signUrl, peerName, postgres } = setup
    Object.assign(cluster, setup.objects)
    const database =
      postgres === undefined ? openSqlite(join(folder, 'ledger.db'), { busySeconds: 10 }) : await openPostgres(postgres)
    const store = createLedgerStore(database)
    store.lost.catch(() => process.exit(1))
    const ledger = await serveLedger(
      {
        ...{
          host: '127.0.0.1',
          namespace: 'hansa-system',
          trustDomain,
          port,
          auditorsPort: 0,
          probesPort: 0,
          gatewayUrl,
        },
        stateDir: folder,
        retention: { saltDays: 30, receiptDays: 400 },
        times: {
          claimMilliseconds: 400,
          deliverMilliseconds: 200,
          checkpointMilliseconds: 300,
          settleWaitMilliseconds: 12_000,
          restoreWaitMilliseconds: 2000,
        },
        caps: { maxUnagreedReceipts: 1_000_000, maxUnagreedGPUSeconds: 1_000_000 },
      },
      {
        identity: givenIdentity(uri, credentials),
        client: cluster.client,
        store,
        sign: async (identityName, body, signal) => {
          const answer = await fetch(signUrl, { method: 'POST', body: JSON.stringify({ identityName, body }), signal })
          const text = await answer.text()
          if (!answer.ok) throw new Error(`not signed: ${text}`)
          return text
        },
        log: createLogger('ledger', process.env.TEST_LOG_LEVEL ?? 'silent'),
        registry: new Registry(),
        clock: skewedClock(setup.skewMilliseconds),
      },
    )
    running = { ledger, store, peerName }
  },
  objects: (objects: ClusterObjects) => {
    Object.assign(cluster, objects)
    cluster.changed()
  },
  state: async (): Promise<LedgerState> => {
    if (running === undefined) throw new Error('the ledger was not started')
    const { ledger, store, peerName } = running
    const { size } = await store.head('main')
    const [checkpoint, witnessed] = [await store.lastCheckpoint('main'), await store.witnessed(peerName)]
    const open: string[] = []
    if ((await store.grantsWithClaimable('Executor')).length > 0) open.push('receipts without a claim')
    const grants = await store.grants({ side: 'Executor', limit: 100 })
    for (const grant of grants) {
      const { reservedGPUSeconds } = await store.claimedTotals(grant)
      if (reservedGPUSeconds < grant.reservedGPUSeconds) open.push('GPU seconds without a claim')
    }
    if ((await store.claims({ state: 'Claimed', limit: 1 })).length > 0) open.push('claims without a settlement')
    if ((checkpoint?.checkpoint.size ?? 0) !== size) open.push('entries without a checkpoint')
    else if (size > 0 && (await store.cosignatures('main', size)).length === 0) open.push('a checkpoint not cosigned')
    return { problem: ledger.problem(), size, witnessed: witnessed?.checkpoint.size ?? 0, open }
  },
})
