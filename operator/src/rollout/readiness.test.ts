import { expect, test } from 'vitest'
import type { Deployment } from '../kube/builtin.ts'
import type { ContainerStatus, Pod } from '../kube/pod-types.ts'
import { lastingTrouble } from './readiness.ts'

const madeAt = Date.parse('2026-11-23T12:00:00Z')
const time = (seconds: number) => new Date(madeAt + seconds * 1_000).toISOString()

/** A worker that was made at 0 s, whose container began at 2 s. */
function pod(options: { readyAt?: number; unreadyAt?: number; container?: Partial<ContainerStatus> } = {}): Pod {
  const { readyAt, unreadyAt, container } = options
  const isReady = readyAt !== undefined && unreadyAt === undefined
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'chat-x', namespace: 'default', creationTimestamp: time(0) },
    spec: { containers: [] },
    status: {
      conditions: [
        { type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime: time(unreadyAt ?? readyAt ?? 0) },
      ],
      containerStatuses: [
        {
          name: 'serve',
          ready: isReady,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: time(2) } },
          ...container,
        },
      ],
    },
  }
}

const trouble = (seconds: number, ...pods: Pod[]) =>
  lastingTrouble({ deployment: undefined, pods, loadSeconds: 30, now: madeAt + seconds * 1_000 })

test('a ready worker is no trouble, nor is one that still has time to become so', () => {
  expect(trouble(1_000, pod({ readyAt: 5 }))).toBeUndefined()
  expect(trouble(60, pod())).toBeUndefined()
  expect(trouble(60, pod({ container: { started: false } }))).toBeUndefined()
})

test('a worker that is not ready in time is', () => {
  expect(trouble(91, pod())).toContain('did not become ready within 90 s')
})

test('one that was ready and is not any more is after five seconds, unless another one is', () => {
  const lost = pod({ readyAt: 5, unreadyAt: 50 })
  expect(trouble(54, lost)).toBeUndefined()
  expect(trouble(55, lost)).toContain('no worker is ready any more')
  expect(trouble(55, lost, pod({ readyAt: 5 }))).toBeUndefined()
})

test('a worker that ended once gets another chance, one that ended twice does not', () => {
  const ended = { terminated: { exitCode: 1 } }
  expect(trouble(5, pod({ container: { started: false, state: ended } }))).toBeUndefined()
  expect(trouble(5, pod({ container: { started: false, restartCount: 1, state: ended } }))).toContain('keeps ending')
  const waiting = { waiting: { reason: 'CrashLoopBackOff' } }
  expect(
    trouble(5, pod({ container: { started: false, restartCount: 1, state: waiting, lastState: ended } })),
  ).toContain('keeps ending')
  const again = { running: { startedAt: time(4) } }
  expect(
    trouble(5, pod({ container: { started: false, restartCount: 1, state: again, lastState: ended } })),
  ).toBeUndefined()
})

test('one that is going is not looked at', () => {
  const going = pod({ readyAt: 5, unreadyAt: 10 })
  going.metadata.deletionTimestamp = time(10)
  expect(trouble(500, going)).toBeUndefined()
})

test('a Deployment that makes no progress is trouble, also without a pod', () => {
  const deployment: Deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'chat-b', namespace: 'default' },
    spec: { selector: {}, template: { spec: { containers: [] } } },
    status: { conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] },
  }
  expect(lastingTrouble({ deployment, pods: [], loadSeconds: 30, now: madeAt })).toContain('did not become ready')
})
