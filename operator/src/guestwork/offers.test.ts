import { expect, test } from 'vitest'
import { sharePolicy } from '../../../test/builders/work.ts'
import type { SharePolicySpec } from '../api/share-policy.ts'
import type { PolicyView } from './decide.ts'
import { bandOf, type FreeNode, offersFor } from './offers.ts'
import { amountsOf } from './resources.ts'
import type { Usage } from './usage.ts'

const now = Date.parse('2026-03-02T12:00:00Z')
const nothing: Usage = { leases: 0, amounts: new Map() }

function view(name: string, changes: Partial<SharePolicySpec> = {}, more: Partial<PolicyView> = {}): PolicyView {
  return { name, spec: sharePolicy(name, changes).spec, ...more }
}

function node(model: string | undefined, gpus: number, free: number, spec: object = {}): FreeNode {
  return {
    node: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `node-${model}`, labels: model === undefined ? {} : { 'nvidia.com/gpu.product': model } },
      spec,
      status: {
        allocatable: { 'nvidia.com/gpu': String(gpus) },
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
    free: amountsOf({ 'nvidia.com/gpu': String(free) }),
  }
}

const offered = (
  policies: readonly PolicyView[],
  nodes: readonly FreeNode[],
  usage: (name: string) => Usage = () => nothing,
) => offersFor('university', policies, nodes, usage, now)

test.each([
  [0, 'None'],
  [1, 'Few'],
  [3, 'Few'],
  [4, 'Some'],
  [15, 'Some'],
  [16, 'Many'],
])('%d free GPUs are %s', (gpus, band) => {
  expect(bandOf(gpus)).toBe(band)
})

test('each model of GPU is one offer, its nodes added up, never more than the quota leaves', () => {
  const quota = { 'nvidia.com/gpu': '8' }
  const nodes = [node('L4', 4, 2), node('L4', 4, 3), node('H200', 8, 8)]
  const bands = (usage: Usage) =>
    offered([view('nights', { quota })], nodes, () => usage).map((each) => [each.gpuModel, each.free])
  expect(bands(nothing)).toEqual([
    ['H200', 'Some'],
    ['L4', 'Some'],
  ])
  const taken = { leases: 1, amounts: amountsOf({ 'nvidia.com/gpu': '6' }) }
  expect(bands(taken)).toEqual([
    ['H200', 'Few'],
    ['L4', 'Few'],
  ])
  expect(bands({ ...taken, leases: 16 })).toEqual([
    ['H200', 'None'],
    ['L4', 'None'],
  ])
})

test('no exact number, name of a node or of a policy is told', () => {
  const price = { currency: 'EUR', microsPerGPUHour: 5 }
  expect(offered([view('nights', { price })], [node('L4', 4, 2)])).toEqual([
    { workloads: ['Serve'], gpuModel: 'L4', free: 'Few', dataClasses: ['Public', 'Internal'], price },
  ])
})

test('a cluster without GPUs says so, and nodes that take no guests do not count', () => {
  expect(offered([view('nights')], []).map(({ gpuModel, free }) => [gpuModel, free])).toEqual([['none', 'None']])
  expect(offered([view('nights')], [node('L4', 4, 4, { unschedulable: true })])[0]?.gpuModel).toBe('none')
  expect(offered([view('nights')], [node(undefined, 4, 4)])[0]?.gpuModel).toBe('unknown')
})

test.each<[string, PolicyView]>([
  ['names other peers', view('p', { peers: [{ name: 'company' }] })],
  ['hides its offer', view('p', { offer: 'Hidden' })],
  ['is suspended', view('p', { suspend: true })],
  ['is not in force', view('p', {}, { problem: { reason: 'NamespaceNotFound', message: '' } })],
  ['is settling', view('p', {}, { settling: true })],
])('nothing is offered by a policy that %s', (_, policy) => {
  expect(offered([policy], [node('L4', 4, 4)])).toEqual([])
})

test('outside its window nothing is free, and the time it opens is told; inside, the time it closes', () => {
  const windows = (start: string, end: string) => [{ name: 'w', timeZone: 'Etc/UTC', start, end }]
  expect(offered([view('p', { windows: windows('20:00', '06:00') })], [node('L4', 4, 4)])[0]).toMatchObject({
    free: 'None',
    opens: '2026-03-02T20:00:00.000Z',
  })
  const open = offered([view('p', { windows: windows('08:00', '18:00') })], [node('L4', 4, 4)])[0]
  expect(open).toMatchObject({ free: 'Some', closes: '2026-03-02T18:00:00.000Z' })
  expect(open).not.toHaveProperty('opens')
})

test('there are 32 offers at most', () => {
  const nodes = Array.from({ length: 20 }, (_, index) => node(`G${index}`, 1, 1))
  expect(offered([view('a'), view('b')], nodes)).toHaveLength(32)
})
