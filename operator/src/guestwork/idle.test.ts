import { describe, expect, test } from 'vitest'
import { guestOf, node, onNode, pod, unschedulable } from '../../../test/builders/pod.ts'
import type { Node } from '../kube/builtin.ts'
import type { Pod } from '../kube/pod-types.ts'
import { leasesToEnd, roomOf, waitingFor } from './idle.ts'
import { podView, slimPod } from './pod-view.ts'
import { amountsOf } from './resources.ts'

const gpu = (count: number) => ({ 'nvidia.com/gpu': String(count), cpu: '1', memory: '1Gi' })
const big = (name: string, gpus = 2, labels = {}) =>
  node(name, { 'nvidia.com/gpu': String(gpus), cpu: '16', memory: '64Gi', pods: '110' }, labels)
const guestServices = new Map([
  ['guests/old', { key: 'old', service: 'guests/old', grantedTime: '2026-01-01T00:00:00Z' }],
  ['guests/new', { key: 'new', service: 'guests/new', grantedTime: '2026-01-02T00:00:00Z' }],
])
const now = Date.parse('2026-01-03T00:00:00Z')

function look(nodes: Node[], pods: Pod[]) {
  // As the operator keeps them.
  const views = pods.map((each) =>
    podView(slimPod({ ...each, metadata: { ...each.metadata, uid: each.metadata.name, resourceVersion: '1' } })),
  )
  const room = roomOf(nodes, views, ({ service }) => guestServices.has(service ?? ''))
  return {
    waitsFor: (gpus = 1, replicas = 1) => waitingFor(room, amountsOf(gpu(gpus)), replicas)?.name,
    ends: (at = now) =>
      Object.fromEntries(
        [...leasesToEnd(room, views, [...guestServices.values()], at)].map(([key, by]) => [key, by.name]),
      ),
  }
}

describe('room is idle', () => {
  test('when nothing waits', () => {
    expect(look([big('a')], [pod('p', gpu(1), onNode('a'))]).waitsFor()).toBeUndefined()
  })

  test('when what waits would not fit without guests either', () => {
    expect(
      look([big('a')], [pod('p', gpu(1), onNode('a')), pod('w', gpu(2), unschedulable())]).waitsFor(),
    ).toBeUndefined()
  })

  test('when what waits still finds room beside the guests', () => {
    expect(look([big('a'), big('b')], [pod('w', gpu(1))]).waitsFor()).toBeUndefined()
    expect(look([big('a', 4)], [pod('w', gpu(1))]).waitsFor(1, 3)).toBeUndefined()
  })

  test('when what waits may not run on these nodes, or waits for something else', () => {
    const elsewhere = pod('w', gpu(1), (made) => {
      made.spec.nodeSelector = { disk: 'fast' }
    })
    expect(look([big('a', 1)], [elsewhere]).waitsFor()).toBeUndefined()
    const gated = pod('w', gpu(1), (made) => {
      made.spec.schedulingGates = [{ name: 'example.com/later' }]
    })
    expect(look([big('a', 1)], [gated]).waitsFor()).toBeUndefined()
  })
})

describe('room is not idle', () => {
  test('when guests would take the last place of a pod that waits', () => {
    expect(look([big('a', 1)], [pod('w', gpu(1))]).waitsFor()).toBe('w')
    expect(look([big('a', 4)], [pod('w', gpu(1))]).waitsFor(1, 4)).toBe('w')
  })

  test('when guests have the place already', () => {
    const pods = [pod('g', gpu(2), guestOf('old'), onNode('a')), pod('w', gpu(1), unschedulable())]
    expect(look([big('a')], pods).waitsFor()).toBe('w')
  })

  test('when a pod of our own waits for Kueue, also one that MultiKueue put here', () => {
    const gated = pod('w', gpu(1), (made) => {
      made.spec.schedulingGates = [{ name: 'kueue.x-k8s.io/admission' }]
    })
    expect(look([big('a', 1)], [gated]).waitsFor()).toBe('w')
    const foreign = pod('m', gpu(1), guestOf('old'), (made) => {
      made.metadata.labels = { ...made.metadata.labels, 'kueue.x-k8s.io/multikueue-origin': 'hub' }
    })
    expect(look([big('a', 1)], [foreign]).waitsFor()).toBe('m')
  })

  test('but a guest that waits for Kueue is nobody to make room for', () => {
    const gated = pod('g', gpu(1), guestOf('old'), (made) => {
      made.spec.schedulingGates = [{ name: 'kueue.x-k8s.io/admission' }]
    })
    expect(look([big('a', 1)], [gated]).waitsFor()).toBeUndefined()
  })
})

describe('leases end', () => {
  const guests = [pod('g-old', gpu(1), guestOf('old'), onNode('a')), pod('g-new', gpu(1), guestOf('new'), onNode('a'))]

  test('the newest first, and no more than needed', () => {
    expect(look([big('a')], [...guests, pod('w', gpu(1), unschedulable())]).ends()).toEqual({ new: 'w' })
    expect(look([big('a')], [...guests, pod('w', gpu(2), unschedulable())]).ends()).toEqual({ new: 'w', old: 'w' })
    const two = [pod('w1', gpu(1), unschedulable()), pod('w2', gpu(1), unschedulable())]
    expect(look([big('a')], [...guests, ...two]).ends()).toEqual({ new: 'w1', old: 'w2' })
  })

  test('not for a pod that their end would not help', () => {
    expect(look([big('a')], [...guests, pod('w', gpu(3), unschedulable())]).ends()).toEqual({})
    expect(look([big('a')], [...guests, pod('w', { cpu: '100' }, unschedulable())]).ends()).toEqual({})
  })

  test('not for a pod that the scheduler has not looked at yet, or that finds room elsewhere', () => {
    expect(look([big('a')], [...guests, pod('w', gpu(1))]).ends()).toEqual({})
    expect(look([big('a'), big('b')], [...guests, pod('w', gpu(1), unschedulable())]).ends()).toEqual({})
  })

  test('not again for one whose room is being made: leaving pods count as gone', () => {
    const leaving = guests.map((guest) => ({
      ...guest,
      metadata: { ...guest.metadata, deletionTimestamp: '2026-01-03T00:00:00Z' },
    }))
    expect(look([big('a')], [...leaving, pod('w', gpu(1), unschedulable())]).ends()).toEqual({})
  })

  test('of those only whom the scheduler itself preempts, while it is at it; after a while we do', () => {
    const since = '2026-01-02T23:59:59Z'
    const waits = pod('w', gpu(1), unschedulable(since, 'a'))
    expect(look([big('a')], [...guests, waits]).ends()).toEqual({})
    expect(look([big('a')], [...guests, waits]).ends(now + 10_000)).toEqual({ new: 'w' })
    const [old, fresh] = guests
    if (old === undefined || fresh === undefined) throw new Error('there are two guests')
    const preempted = {
      ...old,
      metadata: { ...old.metadata, deletionTimestamp: '2026-01-03T00:00:00Z' },
      status: {
        ...old.status,
        conditions: [{ type: 'DisruptionTarget', status: 'True' as const, reason: 'PreemptionByScheduler' }],
      },
    }
    expect(look([big('a')], [preempted, fresh, waits]).ends(now + 10_000)).toEqual({ old: 'g-old' })
  })

  test('on the node where fewest are in the way', () => {
    const spread = [...guests, pod('own', gpu(1), onNode('b')), pod('g-b', gpu(1), guestOf('new'), onNode('b'))]
    expect(look([big('a'), big('b')], [...spread, pod('w', gpu(2), unschedulable())]).ends()).toEqual({
      new: 'w',
      old: 'w',
    })
    expect(look([big('a'), big('b')], [...spread, pod('w', gpu(1), unschedulable())]).ends()).toEqual({ new: 'w' })
  })
})

test('what a pod asks for is what the scheduler counts', () => {
  const made = pod('p', { cpu: '1' }, (it) => {
    it.spec.initContainers = [
      { name: 'sidecar', restartPolicy: 'Always', resources: { requests: { cpu: '200m' } } },
      { name: 'pull', resources: { requests: { cpu: '2', memory: '1Gi' } } },
    ]
    it.spec.overhead = { cpu: '100m' }
  })
  expect(podView(made).requests).toEqual(amountsOf({ cpu: '2300m', memory: '1Gi' }))
})
