import { randomUUID } from 'node:crypto'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { ToExecutor, Work } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import type { MessageKind, MessageOf } from '@hansa/operator/federation/messages.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { bundleOfIdentity } from '@hansa/operator/federation/peer-bundle.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { isTrue } from '@hansa/operator/kube/conditions.ts'
import { guestWorks, identities, peers } from '@hansa/operator/kube/hansa-resources.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { type KnownOwner, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { joinOf, nonceOf } from '../../builders/join.ts'
import { sealOf } from '../../builders/scripted-peer.ts'
import { systemNamespace } from '../../cluster/hansa/installation.ts'
import { eventually } from '../../demo/wait.ts'

const { signal } = new AbortController()
const name = 'university'
const fieldManager = 'scripted-link'
const dayMilliseconds = 86_400_000

/** A requester that is nothing but keys: it was joined, and speaks by the objects that the executor's link would write. */
export type ScriptedRequester = {
  readonly owner: TestOwner
  readonly executor: KnownOwner
  /** Delivers a signed request. */
  ask(work: Work): Promise<Live<GuestWork>>
  /** The newest answer of the executor, opened. */
  answer(work: GuestWork): Promise<MessageOf<'Answer'> | undefined>
  /** Takes what the executor says, and renews what it is asked to; call it again and again. */
  courier(): Promise<void>
}

/** Joins a new owner `university` with the installation behind `client`, whose Identity is `main`; resolves when it may ask. */
export async function joinRequester(client: KubeClient): Promise<ScriptedRequester> {
  const executor = await ownBundle(client)
  const owner = await testOwner(name)
  const seal = sealOf(owner, systemClock)
  let sequence = 0
  async function say<K extends 'Request' | ToExecutor | 'Confirmation'>(kind: K, body: object): Promise<string> {
    sequence += 1
    // The body is checked against the schema of its kind when it is sealed.
    return seal(kind, { sequence, ...body } as never, {
      identityName: 'main',
      peer: peerOf(executor),
      seconds: 3_600,
      signal,
    })
  }
  function open<K extends MessageKind>(kind: K, envelope: string): MessageOf<K> {
    const opened = openMessage(kind, envelope, { peer: peerOf(executor), ownBundle: owner.bundle, now: Date.now() })
    if (!opened.ok) throw new Error(`${kind}: ${opened.problem.message}`)
    return opened.message
  }

  const expires = new Date(Date.now() + dayMilliseconds).toISOString().replace(/\.\d+/, '')
  const { spec } = joinOf(executor, owner, { expires }).atInviter
  await client.create(peers, { apiVersion, kind: 'Peer', metadata: { name }, spec }, { signal })
  const asked = await eventually('the executor asks what we saw of it', async () => {
    const peer = await client.get(peers, { name }, { signal })
    return isTrue(peer?.status?.conditions, 'Verified') ? peer?.status?.statement?.outgoing : undefined
  })
  const confirmation = await say('Confirmation', {
    ...{ asks: nonceOf('the requester asks'), ownIncarnation: 0, epoch: 0, incarnation: 1 },
    answers: open('Confirmation', asked).asks,
  })
  const links = [{ replica: fieldManager, connected: false, direction: 'None' as const, confirmation }]
  const status = { apiVersion, kind: 'Peer', metadata: { name }, status: { links } }
  await client.applyStatus(peers, status, { signal, fieldManager })
  await eventually('the executor takes the confirmation', async () => {
    const peer = await client.get(peers, { name }, { signal })
    return isTrue(peer?.status?.conditions, 'Recovered') || undefined
  })

  /** Answers of one GuestWork's outbox are taken; a renewal that it asks for is given once. */
  async function carry({ metadata, spec, status }: Live<GuestWork>): Promise<void> {
    const { outbox = [], delivered = [], inbox = [] } = status ?? {}
    const taken = outbox.map(({ kind, sequence }) => ({ kind, sequence }))
    const isTaken = (kind: string, sequence: number) =>
      delivered.some((each) => each.kind === kind && each.sequence === sequence)
    if (taken.every(({ kind, sequence }) => isTaken(kind, sequence))) return
    const letters = [...inbox]
    const ask = outbox.find(({ kind, sequence }) => kind === 'RenewalAsk' && !isTaken(kind, sequence))
    if (ask !== undefined && status?.decision === 'Granted') {
      const { epoch, nonce } = open('RenewalAsk', ask.envelope)
      const envelope = await say('Renewal', { requestId: spec.requestId, epoch, nonce })
      letters.splice(0, letters.length, { kind: 'Renewal', sequence, envelope })
    }
    const desired = {
      apiVersion,
      kind: 'GuestWork',
      metadata: { namespace: systemNamespace, name: metadata.name },
      status: { delivered: taken, inbox: letters },
    }
    await client.applyStatus(guestWorks, desired, { signal, fieldManager })
  }

  return {
    owner,
    executor,
    async ask(work) {
      const requestId = randomUUID()
      const request = await say('Request', { requestId, work })
      const metadata = { name: `${name}-${requestId}`, namespace: systemNamespace }
      const guest = { apiVersion, kind: 'GuestWork', metadata, spec: { peerRef: { name }, requestId, request } }
      return client.create(guestWorks, guest as GuestWork, { signal })
    },
    async answer({ metadata }) {
      const work = await client.get(guestWorks, { namespace: systemNamespace, name: metadata.name }, { signal })
      const letter = work?.status?.outbox?.find(({ kind }) => kind === 'Answer')
      return letter === undefined ? undefined : open('Answer', letter.envelope)
    },
    async courier() {
      const { items } = await client.list(guestWorks, { namespace: systemNamespace, signal })
      for (const work of items) await carry(work)
    },
  }
}

async function ownBundle(client: KubeClient): Promise<KnownOwner> {
  const identity = await eventually('the Identity is published', async () => {
    const found = await client.get(identities, { name: 'main' }, { signal })
    return found?.status?.bundle === undefined ? undefined : found
  })
  const verdict = bundleOfIdentity(identity, { now: Date.now() })
  if (!verdict.ok) throw new Error(verdict.problem.message)
  const { bundle } = verdict
  return { bundle, envelope: identity.status?.bundle?.envelope ?? '', root: { publicKey: bundle.rootKey } }
}
