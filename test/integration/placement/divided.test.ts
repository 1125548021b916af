import { explain } from '@hansa/operator/cli/explain.ts'
import { memoryIo } from '@hansa/operator/cli/memory-io.ts'
import { events } from '@hansa/operator/kube/builtin.ts'
import { inferenceServices } from '@hansa/operator/kube/hansa-resources.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Requester, startAsking, timeout } from '../remotework/requester.ts'

let requester: Requester | undefined
const it = () => {
  if (requester === undefined) throw new Error('the requester did not start')
  return requester
}
const { signal } = new AbortController()
const namespace = 'library'

beforeAll(async () => {
  requester = await startAsking('placement')
  await requester.join()
  await it().tenant(namespace, 'Internal')
  await it().allow('library', { dataClasses: ['Internal'], peers: [{ name: 'university' }] })
}, timeout)
afterAll(() => requester?.stop(), timeout)

/** What the controller of the workers here writes. */
const wants = (desiredReplicas: number) =>
  it().client.patch(
    inferenceServices,
    { namespace, name: 'digits' },
    { status: { desiredReplicas } },
    { signal, subresource: 'status' },
  )

const candidates = (expected: Record<string, number>) =>
  it().eventually(`candidates ${JSON.stringify(expected)}`, async () => {
    const { status } = await it().service(namespace, 'digits')
    const seen = Object.fromEntries((status?.candidates ?? []).map(({ owner, replicas }) => [owner, replicas]))
    return Object.entries(expected).every(([owner, count]) => seen[owner] === count) ? status?.candidates : undefined
  })

/** The RemoteWorks, once there are so many that ask for these counts, oldest first. */
const works = (...replicas: number[]) =>
  it().eventually(`works of ${replicas.join(', ')}`, async () => {
    const found = (await it().works(namespace)).filter(({ status }) => (status?.outbox?.length ?? 0) > 0)
    const counts = found.map(({ spec }) => spec.work.replicas).sort()
    return JSON.stringify(counts) === JSON.stringify(replicas.toSorted()) ? found : undefined
  })

async function grant(work: Awaited<ReturnType<typeof works>>[number], epoch: number): Promise<void> {
  const request = work.status?.outbox?.find(({ kind }) => kind === 'Request')
  if (request === undefined) throw new Error('nothing was asked')
  await it().taken(work, 'Request', request.sequence)
  await it().deliver(work, await it().says.grant(request.envelope, { ttlSeconds: 600, epoch }))
  const { replicas } = work.spec.work
  await it().deliver(
    work,
    await it().says.report(work.metadata.uid, epoch, { replicas, readyReplicas: replicas, gpuSeconds: 0 }),
  )
}

test('without room here a peer is asked, more is asked for in addition, and all is explained', {
  timeout,
}, async () => {
  // There are no nodes, so there is no room.
  await it().serve(namespace, 'digits', {
    placement: { peers: [{ name: 'university', maxReplicas: 4 }], leaseSeconds: 600 },
  })
  await wants(2)
  const [first] = await works(2)
  if (first === undefined) throw new Error('nothing was asked')
  expect(first.metadata.labels).toMatchObject({
    'hansa.dev/inference-service': 'digits',
    'hansa.dev/revision': expect.stringMatching(/^[0-9a-f]{8}$/),
  })
  await grant(first, 1)
  const found = await candidates({ own: 0, university: 2 })
  expect(found).toMatchObject([{ owner: 'own', reasons: ['NoRoom'] }, { owner: 'university' }])

  await wants(3)
  const both = await works(1, 2)
  expect(both.map(({ metadata }) => metadata.uid)).toContain(first.metadata.uid)
  const second = both.find(({ metadata }) => metadata.uid !== first.metadata.uid)
  if (second === undefined) throw new Error('nothing more was asked')
  await grant(second, 2)
  await it().owners(namespace, 'digits', { wanted: 3, replicas: 3, readyReplicas: 3, answer: 'Granted' })

  const io = memoryIo({ now: () => Date.now() })
  const ask = (...changes: string[]) =>
    explain(it().client, { name: 'digits', namespace, changes, output: 'json' }, io, signal)
  await ask()
  expect(JSON.parse(io.output())).toMatchObject({
    total: 3,
    unplaced: 0,
    candidates: [
      { owner: 'university', replicas: 3, current: 3, reasons: [] },
      { owner: 'own', replicas: 0 },
    ],
  })
  const what = memoryIo({ now: () => Date.now() })
  await explain(
    it().client,
    { name: 'digits', namespace, changes: ['replicas=6', 'city=2', 'maxLatency=50'], output: 'table' },
    what,
    signal,
  )
  expect(what.output()).toContain('university: 4 (now 3)')
  expect(what.output()).toContain('PeerNotFound: there is no Peer city')
  expect(what.output()).toContain('no place for 2 workers')

  await wants(2)
  await it().eventually(
    'the part that is too many is withdrawn',
    async () => (await it().works(namespace)).length === 1,
  )
  await it().eventually('events of the moves', async () => {
    const { items } = await it().client.list(events, { namespace, signal })
    return items.some(({ reason, note }) => reason === 'Placed' && note?.includes('university 2 to 3') === true)
  })
})
