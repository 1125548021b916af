import { expect, test } from 'vitest'
import type { Job } from '../kube/builtin.ts'
import type { ContainerState, NativeCondition, Pod } from '../kube/pod-types.ts'
import { verifyResult } from './verify-result.ts'

function job(...conditions: NativeCondition[]): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'digits-verify-1', namespace: 'web', uid: 'job-1' },
    spec: { template: { spec: { containers: [] } } },
    status: { conditions },
  }
}

function pod(
  state: ContainerState,
  options: { owner?: string; created?: string; scheduled?: NativeCondition } = {},
): Pod {
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'x', uid: options.owner ?? 'job-1', controller: true }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'web',
      ownerReferences: [owner],
      creationTimestamp: options.created ?? '2026-01-01T00:00:00Z',
    },
    spec: { containers: [] },
    status: {
      conditions: options.scheduled === undefined ? [] : [options.scheduled],
      containerStatuses: [{ name: 'verify', ready: false, restartCount: 0, state }],
    },
  }
}

const ended = (reason: string, message = 'why', file?: string): ContainerState => ({
  terminated: { exitCode: 1, message: JSON.stringify({ reason, message, file }) },
})
const complete = { type: 'Complete', status: 'True' } as const
const failed = { type: 'Failed', status: 'True', message: 'Job has reached the specified backoff limit' } as const
const unscheduled = { type: 'PodScheduled', status: 'False', message: 'claim "models" not found' } as const

test.each([
  ['no Job yet', undefined, [], 'Fetching'],
  ['a pod at work', job(), [pod({ running: {} })], 'Fetching'],
  ['a try that failed while others follow', job(), [pod(ended('VolumeUnavailable'))], 'Fetching'],
  ['a complete Job whose pod is gone', job(complete), [], 'Verified'],
  ['a complete Job after a failed try', job(complete), [pod(ended('VolumeUnavailable'))], 'Verified'],
  ['a refusal', job(failed), [pod(ended('DigestMismatch'))], 'DigestMismatch'],
  ['a failed Job without a pod', job(failed), [], 'VerifyJobFailed'],
  ['a failed Job with a report of no known reason', job(failed), [pod(ended('Odd'))], 'VerifyJobFailed'],
  ['a failed Job whose report claims success', job(failed), [pod(ended('Verified'))], 'VerifyJobFailed'],
  ['a failed Job and the report of another', job(failed), [pod(ended('NotONNX'), { owner: 'b' })], 'VerifyJobFailed'],
  ['a pod without a node', job(), [pod({}, { scheduled: unscheduled })], 'VolumeUnavailable'],
  ['an image that cannot be pulled', job(), [pod({ waiting: { reason: 'ErrImagePull' } })], 'VerifyJobFailed'],
] as const)('%s gives the reason of the last column', (_, given, pods, reason) => {
  expect(verifyResult(given, pods).reason).toBe(reason)
})

test('the last of several reports counts, and names the file', () => {
  const pods = [
    pod(ended('DigestMismatch', 'has another digest', 'model.onnx'), { created: '2026-01-01T00:02:00Z' }),
    pod(ended('VolumeUnavailable'), { created: '2026-01-01T00:01:00Z' }),
  ]
  expect(verifyResult(job(failed), pods)).toEqual({
    reason: 'DigestMismatch',
    message: 'file model.onnx: has another digest',
  })
})

test('a failure without a report says why the Job failed and where to look', () => {
  const { message } = verifyResult(job(failed), [])
  expect(message).toContain('backoff limit')
  expect(message).toContain('kubectl describe job -n web digits-verify-1')
})
