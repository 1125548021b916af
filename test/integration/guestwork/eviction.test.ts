import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { evict } from '../../fault/guest-eviction/evict.ts'
import { startGuestLoad } from '../../fault/guest-eviction/guest-load.ts'
import { drainTimeoutSeconds, guestNamespace, type Lender, startLender } from '../../fault/guest-eviction/lender.ts'
import { eventually } from '../kube/harness.ts'

let lender: Lender | undefined

beforeAll(async () => {
  lender = await startLender()
}, 300_000)
afterAll(() => lender?.stop(), 120_000)

const policiesSchema = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string() }), spec: z.looseObject({}) })),
})

test('a pod of our own takes the GPU of a guest, which finishes what it has begun; its requester is told why', {
  timeout: 400_000,
}, async () => {
  if (lender === undefined) throw new Error('the lender did not start')
  const it = lender
  const guests = await Promise.all([it.lend(), it.lend()])

  // What runs for others came by strict Pod Security, without rights, Secrets or a way out.
  for (const { pod } of guests) {
    expect(pod.metadata.namespace).toBe(guestNamespace)
    expect(pod.spec).toMatchObject({ priority: -1000, preemptionPolicy: 'Never', automountServiceAccountToken: false })
    expect(JSON.stringify(pod.spec)).not.toMatch(/"secret(Name|KeyRef|Ref)?"/)
  }
  const path = `/apis/networking.k8s.io/v1/namespaces/${guestNamespace}/networkpolicies`
  const policies = policiesSchema.parse((await it.installation.owner.request({ path })).body)
  const names = policies.items.map(({ metadata }) => metadata.name)
  expect(names).toEqual(expect.arrayContaining(guests.map(({ pod }) => pod.spec.serviceAccountName)))
  const deny = policies.items.find(({ spec }) => JSON.stringify(spec.podSelector) === '{}')
  expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })

  const loads = await Promise.all(
    guests.map(async (guest) => ({ guest, load: await startGuestLoad(it.gateway, guest.worker) })),
  )
  const seen = await evict(it, guests, 'own')
  expect((seen.runs - seen.claimed) / 1000).toBeLessThan(5 * (drainTimeoutSeconds + 10))
  for (const { guest, load } of loads) {
    const outcomes = await load.stop()
    const until = guest === seen.victim ? seen.left : Number.POSITIVE_INFINITY
    expect(outcomes.filter(({ kind }) => kind === 'Failed')).toEqual([])
    expect(outcomes.filter(({ kind, began }) => kind === 'NotTaken' && began < until)).toEqual([])
    expect(outcomes.filter(({ kind }) => kind === 'Served').length).toBeGreaterThan(0)
  }

  const answer = await eventually(
    'the requester hears of the end',
    async () => {
      const heard = await it.requester.answer(seen.victim.work)
      return heard?.decision === 'Ended' ? heard : undefined
    },
    60_000,
  )
  expect(answer.refusals.map(({ reason }) => reason)).toEqual(['Preempted'])
  for (const other of seen.others) expect((await it.work(other)).status?.decision).toBe('Granted')

  await it.release('own')
  const back = await it.lend()
  expect(back.work.status?.lease?.epoch).toBeGreaterThan(seen.victim.work.status?.lease?.epoch ?? 0)
})
