import { expect, test } from 'vitest'
import type { ContainerState, ContainerStatus, Pod } from './kube-types.ts'
import { computePodStatus, type PodView } from './pod-status.ts'

const running: ContainerState = { running: { startedAt: '2026-01-01T00:00:00Z' } }
const waiting: ContainerState = { waiting: { reason: 'ContainerCreating' } }
const exited = (exitCode: number): ContainerState => ({ terminated: { exitCode, reason: 'Error' } })

function container(state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus {
  const up = state.running !== undefined
  return {
    name: 'main',
    image: 'i',
    imageID: '',
    restartCount: 0,
    ready: up,
    started: up,
    state,
    lastState: {},
    ...more,
  }
}

function view(more: Partial<PodView> & { spec?: Partial<Pod['spec']> } = {}): PodView {
  const { spec, ...rest } = more
  return {
    pod: {
      metadata: { name: 'p', uid: 'u', generation: 3 },
      spec: { containers: [], restartPolicy: 'Never', ...spec },
    },
    init: [],
    sidecars: new Set(),
    app: [container(running)],
    podIp: '127.64.0.2',
    hostIp: '127.64.0.1',
    startTime: '2026-01-01T00:00:00Z',
    ended: false,
    before: [],
    now: '2026-01-01T00:00:09Z',
    ...rest,
  }
}

const phase = (more: Parameters<typeof view>[0]) => computePodStatus(view(more)).phase
const condition = (type: string, more: Parameters<typeof view>[0]) =>
  computePodStatus(view(more)).conditions?.find((found) => found.type === type)

test.each([
  ['Pending', 'nothing runs yet', { app: [container(waiting)] }],
  ['Pending', 'one of two waits for its first start', { app: [container(running), container(waiting)] }],
  ['Pending', 'an init container runs', { init: [container(running, { ready: false })], app: [container(waiting)] }],
  ['Running', 'it runs', {}],
  ['Running', 'it waits to be restarted', { app: [container(waiting, { lastState: exited(1) })] }],
  ['Running', 'the app has ended and a sidecar has not', { app: [container(exited(0))] }],
  ['Succeeded', 'all ended well', { app: [container(exited(0))], ended: true }],
  ['Failed', 'one ended badly', { app: [container(exited(0)), container(exited(1))], ended: true }],
  ['Failed', 'an init container failed', { init: [container(exited(1))], app: [container(waiting)], ended: true }],
  ['Failed', 'the node failed it', { app: [container(exited(0))], ended: true, failure: { reason: 'R', message: '' } }],
] as const)('a pod is %s when %s', (expected, _, more) => {
  expect(phase(more)).toBe(expected)
})

test('a pod is Ready when all containers and readiness gates are', () => {
  expect(condition('Ready', {})?.status).toBe('True')
  expect(condition('Ready', { app: [container(running), container(running, { ready: false })] })).toMatchObject({
    status: 'False',
    reason: 'ContainersNotReady',
    message: 'containers with unready status: [main]',
  })
  const gated = { spec: { readinessGates: [{ conditionType: 'example.com/gate' }] } }
  expect(condition('Ready', gated)).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' })
  expect(condition('ContainersReady', gated)?.status).toBe('True')
})

test('a completed pod is not Ready, and says that it completed', () => {
  const done = { app: [container(exited(0), { ready: true })], ended: true }
  expect(condition('Ready', done)).toMatchObject({ status: 'False', reason: 'PodCompleted' })
  expect(condition('Initialized', done)?.status).toBe('True')
})

test('the time of a transition changes only with the status', () => {
  const before = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:05Z' }] as const
  expect(condition('Ready', { before })?.lastTransitionTime).toBe('2026-01-01T00:00:05Z')
  const turned = condition('Ready', { before, app: [container(running, { ready: false })] })
  expect(turned?.lastTransitionTime).toBe('2026-01-01T00:00:09Z')
})

test('conditions name the generation that they saw', () => {
  expect(condition('Ready', {})?.observedGeneration).toBe(3)
})
