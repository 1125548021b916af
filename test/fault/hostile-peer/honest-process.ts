import { randomUUID } from 'node:crypto'
import type { Peer } from '@hansa/operator/api/peer.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { type Caller, openCaller } from '@hansa/operator/link/transport/caller.ts'
import { codeOfKind, roles } from '@hansa/operator/link/wire/messages.ts'
import { alpn, deliver, hello } from '@hansa/operator/link/wire/methods.ts'
import { peerOf, testOwner } from '../../builders/federation.ts'
import { serveWork } from '../../integration/link/link-rig.ts'
import { answerCalls } from '../../tools/process-calls.ts'
import { openTls } from './raw-http2.ts'

// An honest peer that counts how long its calls take.
const owner = await testOwner('clinic')
const { signal } = new AbortController()
const seal = createSeal({
  sealingOf: async () => ({ bundle: owner.bundle, signerOf: owner.signerOf }),
  clock: { now: Date.now },
})
let caller: Caller | undefined
let request: { kind: number; requestId: string; sequence: number; envelope: string } | undefined

answerCalls({
  start: () => peerOf(owner, 'clinic'),
  connect: async ({ port, peer }: { port: number; peer: Peer }) => {
    const { keyPem, certPem } = await owner.certificate('link')
    const servername = `${owner.bundle.trustDomain}.${peer.status?.trustDomain}`
    const socket = await openTls({ port }, { key: keyPem, cert: certPem, servername, ALPNProtocols: [alpn.control] })
    caller = openCaller(socket, { clock: systemClock })
    const greeting = { versions: [2, 1], replica: 'clinic-link-0', replicas: 1, role: roles.Dialler }
    await caller.call(hello, greeting, { signal, timeoutSeconds: 10 })
    const requestId = randomUUID()
    const message = { sequence: 1, requestId, work: serveWork() }
    const envelope = await seal('Request', message, { identityName: 'main', peer, seconds: 3600, signal })
    request = { kind: codeOfKind('Request'), requestId, sequence: 1, envelope }
  },
  /** Latencies in milliseconds of calls at a steady rate, and how many failed. */
  measure: async ({ seconds, perSecond }: { seconds: number; perSecond: number }) => {
    const latencies: number[] = []
    let failed = 0
    const calls: Promise<void>[] = []
    const began = performance.now()
    for (let i = 0; i < seconds * perSecond; i++) {
      const pause = began + (i * 1000) / perSecond - performance.now()
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
      const at = performance.now()
      if (caller === undefined || request === undefined) throw new Error('not connected')
      calls.push(
        caller.call(deliver, request, { signal, timeoutSeconds: 10 }).then(
          ({ refusal }) => {
            if (refusal !== undefined) failed += 1
            latencies.push(performance.now() - at)
          },
          () => {
            failed += 1
          },
        ),
      )
    }
    await Promise.all(calls)
    return { latencies, failed }
  },
})
