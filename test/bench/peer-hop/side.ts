import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { openReceiptBook } from '@hansa/operator/gateway/receipts/open-receipt-book.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { pino } from 'pino'
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

// One owner: gateway and data path as they run in a pod, with receipts spooled to disk; the worker is a process of its own.
// Started by peer-hop.ts as `side.ts NAME DIR`.
const [name = '', dir = ''] = process.argv.slice(2)
await mkdir(`${dir}/spool`, { recursive: true })
const book = await openReceiptBook({
  folder: `${dir}/spool`,
  maxBytes: 2 ** 30,
  idleMilliseconds: 1000,
  drainMilliseconds: 1000,
  // A ledger that takes everything at once.
  post: async (body) => {
    const { first, records } = JSON.parse(body) as { first: number; records: unknown[] }
    return { next: first + records.length, stopped: [] }
  },
  clock: systemClock,
  log: pino({ level: 'silent' }),
})
const rig = await startRig({ services: [], owner: { name }, book })
const { owner, data, cluster } = rig
if (owner === undefined || data === undefined) throw new Error('the rig is no owner')
await writeFile(`${dir}/ca.pem`, rig.authority.caPem)

async function serve(namespace: string, service: string): Promise<void> {
  const folder = `${dir}/${service}`
  await mkdir(folder, { recursive: true })
  const { keyPem, certPem } = await issueCredentials(rig.authority, spiffe(trustDomain, namespace, `${service}-worker`))
  await Promise.all([
    writeFile(`${folder}/worker.key`, keyPem),
    writeFile(`${folder}/worker.crt`, certPem),
    writeFile(`${folder}/ca.pem`, rig.authority.caPem),
  ])
  const address = name === 'a' ? '127.0.0.21' : '127.0.0.22'
  const script = resolve(import.meta.dirname, '../gateway-overhead/echo-worker.ts')
  const worker = startTethered({
    command: process.execPath,
    args: [script, folder, address, `${rig.settings.workerPort}`],
    stdout: 'pipe',
  })
  if (worker.child.stdout !== null) await once(worker.child.stdout, 'data')
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
const { bundle, envelope, root } = owner
const started: SideStarted = {
  url: rig.gateway.url,
  address: data.address,
  token: await rig.token(),
  known: { bundle, envelope, root: { publicKey: root.publicKey } },
}
process.send?.({ result: started })
