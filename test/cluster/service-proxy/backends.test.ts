import { expect, test } from 'vitest'
import type { Pod } from '../process-node/kube-types.ts'
import { backendsOf, type Service, targetAt } from './backends.ts'

function pod(name: string, more: { ready?: boolean; labels?: Record<string, string>; deleting?: boolean } = {}): Pod {
  const { ready = true, labels = { app: 'a' }, deleting = false } = more
  return {
    metadata: {
      name,
      namespace: 'n',
      uid: name,
      labels,
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: {
      phase: 'Running',
      podIP: '127.64.0.2',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  }
}

const service = (spec: Service['spec']): Service => ({ metadata: { name: 's', namespace: 'n', uid: 's' }, spec })
const names = (found: readonly Pod[]) => found.map(({ metadata }) => metadata.name)

test('only ready pods with all labels that are not going away are backends', () => {
  const pods = [
    pod('good', { labels: { app: 'a', more: 'x' } }),
    pod('unready', { ready: false }),
    pod('leaving', { deleting: true }),
    pod('other', { labels: { app: 'b' } }),
  ]
  expect(names(backendsOf(service({ selector: { app: 'a' } }), pods))).toEqual(['good'])
  const early = service({ selector: { app: 'a' }, publishNotReadyAddresses: true })
  expect(names(backendsOf(early, pods))).toEqual(['good', 'unready', 'leaving'])
})

test('a service without a selector or in another namespace has none', () => {
  expect(backendsOf(service({}), [pod('p')])).toEqual([])
  const elsewhere = { metadata: { name: 's', namespace: 'm', uid: 's' }, spec: { selector: { app: 'a' } } }
  expect(backendsOf(elsewhere, [pod('p')])).toEqual([])
})

test('a target port is a number, a name, or the service’s own', () => {
  expect(targetAt(pod('p'), { port: 80 })?.port).toBe(80)
  expect(targetAt(pod('p'), { port: 80, targetPort: 9000 })?.port).toBe(9000)
  expect(targetAt(pod('p'), { port: 80, targetPort: 'http' })?.port).toBe(8080)
  expect(targetAt(pod('p'), { port: 80, targetPort: 'none' })).toBeUndefined()
})
