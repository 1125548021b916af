import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { createAccessLogger } from '@hansa/operator/gateway/access-log.ts'
import { openReceiptBook } from '@hansa/operator/gateway/receipts/open-receipt-book.ts'
import { postRecords } from '@hansa/operator/gateway/receipts/post-records.ts'
import type { PostRecords } from '@hansa/operator/gateway/receipts/push-records.ts'
import { tuneCollector } from '@hansa/operator/gateway/tune-collector.ts'
import { issueCredentials, memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { type KnownOwner, peerOf } from '../../builders/federation.ts'
import { startTethered } from '../../cluster/tethered-process.ts'
import { startRig, trustDomain, workerPod } from '../../integration/gateway/gateway-under-test.ts'

/** What the bench tells an owner's process, one at a time; each is answered. */
export type SideCommand =
  | { do: 'join'; name: string; known: KnownOwner; address: string | undefined }
  | { do: 'serve'; namespace: string; service: string }
  | { do: 'hold'; services?: InferenceService[]; remoteWorks?: RemoteWork[]; guestWorks?: GuestWork[] }
  | { do: 'cpu' }

export type SideStarted = { url: string; address: string; token: string; known: KnownOwner }

// One owner: gateway and data path with logs, collector and receipts as in a pod; worker and ledger are processes of their own.
// Started by peer-hop.ts as `side.ts NAME DIR`.
const [name = '', dir = ''] = process.argv.slice(2)
tuneCollector()
await mkdir(`${dir}/spool`, { recursive: true })
const log = createLogger('gateway')
let post: PostRecords | undefined
const book = await openReceiptBook({
  folder: `${dir}/spool`,
  maxBytes: 2 ** 30,
  idleMilliseconds: 1000,
  drainMilliseconds: 1000,
  post: (body, signal) => (post === undefined ? Promise.reject(new Error('no ledger yet')) : post(body, signal)),
  clock: systemClock,
  log,
})
const rig = await startRig({ services: [], owner: { name }, book, log, accessLog: createAccessLogger(log) })
const { owner, data, cluster } = rig
if (owner === undefined || data === undefined) throw new Error('the rig is no owner')
await writeFile(`${dir}/ca.pem`, rig.authority.caPem)
const ledgerUri = spiffe(trustDomain, 'hansa-system', 'hansa-ledger')
const ledgerPort = await startNeighbour('ledger.ts', ledgerUri, [])
post = postRecords({
  url: `https://127.0.0.1:${ledgerPort}`,
  uri: ledgerUri,
  identity: await memoryIdentity(rig.authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway')),
})

/** Starts a program with a certificate for a name, and gives the first line that it says. */
async function startNeighbour(script: string, uri: string, args: string[]): Promise<string> {
  const folder = `${dir}/${basename(script, '.ts')}-${basename(uri)}`
  await mkdir(folder, { recursive: true })
  const { keyPem, certPem } = await issueCredentials(rig.authority, uri)
  await Promise.all([
    writeFile(`${folder}/worker.key`, keyPem),
    writeFile(`${folder}/worker.crt`, certPem),
    writeFile(`${folder}/ca.pem`, rig.authority.caPem),
  ])
  const { child } = startTethered({
    command: process.execPath,
    args: [resolve(import.meta.dirname, script), folder, ...args],
    stdout: 'pipe',
  })
  if (child.stdout === null) throw new Error(`${script} has no output`)
  const [said] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })
  return String(said).trim()
}

async function serve(namespace: string, service: string): Promise<void> {
  const address = name === 'a' ? '127.0.0.21' : '127.0.0.22'
  const uri = spiffe(trustDomain, namespace, `${service}-worker`)
  await startNeighbour('../gateway-overhead/echo-worker.ts', uri, [address, `${rig.settings.workerPort}`])
  cluster.pods = [...cluster.pods, workerPod(service, namespace, address)]
  cluster.changed()
}

async function obey(command: SideCommand): Promise<unknown> {
  switch (command.do) {
    case 'join': {
      const peer = peerOf(command.known, command.name)
      const { address } = command
      const dial = address === undefined ? { dial: 'Them' as const } : { dial: 'Us' as const, dataAddress: address }
      cluster.peers = [{ ...peer, spec: { ...peer.spec, ...dial } }]
      return cluster.changed()
    }
    case 'serve':
      return serve(command.namespace, command.service)
    case 'hold':
      cluster.services = [...cluster.services, ...(command.services ?? [])]
      cluster.remoteWorks = command.remoteWorks ?? cluster.remoteWorks
      cluster.guestWorks = command.guestWorks ?? cluster.guestWorks
      return cluster.changed()
    case 'cpu': {
      const { user, system } = process.cpuUsage()
      return user + system
    }
    default:
      return command satisfies never
  }
}

process.on('message', (command: SideCommand) => {
  obey(command).then((result) => process.send?.({ result: result ?? null }))
})
process.on('disconnect', () => process.exit())
process.on('SIGTERM', () => process.exit())
const { bundle, envelope, root } = owner
const started: SideStarted = {
  url: rig.gateway.url,
  address: data.address,
  token: await rig.token(),
  known: { bundle, envelope, root: { publicKey: root.publicKey } },
}
process.send?.({ result: started })
