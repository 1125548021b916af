import { expect, test } from 'vitest'
import type { ContainerState, ContainerStatus, NativeCondition, Pod } from '../kube/pod-types.ts'
import { refusedTrouble, reportOf, troubleOf } from './workers.ts'

function pod(
  statuses: { pull?: ContainerState; serve?: ContainerState; last?: ContainerState },
  conditions: NativeCondition[] = [],
): Pod {
  const status = (name: string, state: ContainerState | undefined): ContainerStatus[] =>
    state === undefined
      ? []
      : [
          {
            name,
            ready: false,
            restartCount: 1,
            state,
            ...(statuses.last !== undefined && { lastState: statuses.last }),
          },
        ]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'chat-1', namespace: 'web' },
    spec: { containers: [] },
    status: {
      conditions,
      initContainerStatuses: status('pull', statuses.pull),
      containerStatuses: status('serve', statuses.serve),
    },
  }
}

const refusal = JSON.stringify({ reason: 'DigestMismatch', message: 'has another digest', file: 'model.onnx' })

test('nothing is wrong with no pods', () => {
  expect(troubleOf(undefined, [])).toBeUndefined()
})

test('a refusal by pull names file and reason and blames the model', () => {
  const trouble = troubleOf(undefined, [pod({ pull: { terminated: { exitCode: 1, message: refusal } } })])
  expect(trouble).toMatchObject({ reason: 'ModelLoadFailed', model: { reason: 'DigestMismatch' } })
  expect(trouble?.message).toContain('file model.onnx')
})

test('a refusal is still known while the container waits for its next try', () => {
  const waiting = { waiting: { reason: 'CrashLoopBackOff' } }
  const trouble = troubleOf(undefined, [
    pod({ pull: waiting, last: { terminated: { exitCode: 1, message: refusal } } }),
  ])
  expect(trouble?.reason).toBe('ModelLoadFailed')
})

test('a refusal is still known while the next try runs, and forgotten once it went well', () => {
  const last = { terminated: { exitCode: 1, message: refusal } }
  expect(troubleOf(undefined, [pod({ pull: { running: {} }, last })])?.reason).toBe('ModelLoadFailed')
  expect(troubleOf(undefined, [pod({ pull: { terminated: { exitCode: 0 } }, last })])).toBeUndefined()
})

test('a worker that was up is not judged by how it ended before that', () => {
  const given = pod({ serve: { running: {} }, last: { terminated: { exitCode: 137, reason: 'OOMKilled' } } })
  expect(troubleOf(undefined, [given])?.reason).toBe('CrashLooping')
  for (const status of given.status?.containerStatuses ?? []) status.started = true
  expect(troubleOf(undefined, [given])).toBeUndefined()
})

test('a missing execution provider has its own reason', () => {
  const message = JSON.stringify({ reason: 'ExecutionProviderUnavailable', message: 'no CUDA here' })
  expect(troubleOf(undefined, [pod({ serve: { terminated: { exitCode: 1, message } } })])?.reason).toBe(
    'ExecutionProviderUnavailable',
  )
})

test('crashes without a report tell the exit code and the command to look with', () => {
  const trouble = troubleOf(undefined, [
    pod({
      serve: { waiting: { reason: 'CrashLoopBackOff' } },
      last: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
    }),
  ])
  expect(trouble?.reason).toBe('CrashLooping')
  expect(trouble?.message).toContain('out of memory')
})

test.each([
  ['ImagePullFailed', pod({ pull: { waiting: { reason: 'ErrImagePull' } } })],
  [
    'Unschedulable',
    pod({}, [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes' }]),
  ],
] as const)('%s is told from the pod', (reason, given) => {
  expect(troubleOf(undefined, [given])?.reason).toBe(reason)
})

test.each([
  ['QuotaExceeded', 'exceeded quota: compute, requested: count/deployments.apps=1'],
  ['AdmissionRefused', 'admission webhook "policy.example" denied the request'],
])('%s is told from the words of the API server', (reason, words) => {
  expect(refusedTrouble(new Error(words))).toMatchObject({ reason, message: expect.stringContaining(words) })
})

test('text that is no report is not taken for one', () => {
  expect(reportOf('panic: {')).toBeUndefined()
  expect(reportOf('{"reason":1}')).toBeUndefined()
  expect(reportOf('{')).toBeUndefined()
  expect(reportOf(undefined)).toBeUndefined()
})
