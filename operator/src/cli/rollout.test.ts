import { expect, test } from 'vitest'
import { inferenceService, withCondition, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { createManualClock } from '../kube/manual-clock.ts'
import { memoryIo } from './memory-io.ts'
import { order, rolloutStatus, setPaused } from './rollout.ts'
import { rolloutWatch } from './rollout-watch.ts'

const { signal } = new AbortController()
const named = { name: 'chat', namespace: 'default' }
const canary = withSpec({ rollout: { ...inferenceService('x').spec.rollout, strategy: 'Canary' } })
const at = { step: 0, stepStartedTime: '2026-01-01T00:00:00Z' }
const underWay = withStatus({
  observedGeneration: 1,
  latestRevision: 'bbbbbbbb',
  traffic: [
    { revision: 'aaaaaaaa', percent: 95 },
    { revision: 'bbbbbbbb', percent: 5 },
  ],
  rollout: { revision: 'bbbbbbbb', state: 'Progressing', ...at },
})
const rolledBack = withStatus({
  observedGeneration: 1,
  latestRevision: 'bbbbbbbb',
  traffic: [{ revision: 'aaaaaaaa', percent: 100 }],
  rollout: { revision: 'bbbbbbbb', state: 'RolledBack', message: 'TooSlow: 1', orders: ['retry=bbbbbbbb@1'], ...at },
})

/** A cluster that shows one version of the service after the other, and keeps what is patched. Nothing else is called. */
function clusterOf(...versions: InferenceService[]) {
  const patches: unknown[] = []
  let read = 0
  const client = {
    get: async () => versions[Math.min(read++, versions.length - 1)],
    list: async () => ({ resourceVersion: '1', items: [] }),
    patch: async (_: unknown, __: unknown, patch: unknown) => void patches.push(patch),
  } as unknown as KubeClient
  return { client, patches }
}

/** A clock whose time passes as soon as somebody waits. */
function hurriedClock() {
  const clock = createManualClock()
  return {
    ...clock,
    after: (milliseconds: number, callback: () => void) => {
      const cancel = clock.after(milliseconds, callback)
      queueMicrotask(() => clock.advance(milliseconds))
      return cancel
    },
  }
}

test('status shows the revisions with their shares, and whether all is well', async () => {
  const io = memoryIo()
  const service = inferenceService('chat', canary, underWay, withCondition('RolledOut', 'Unknown', 'CanaryProgressing'))
  expect(await rolloutStatus(clusterOf(service).client, { ...named, output: 'table' }, io, signal)).toBe(true)
  expect(io.output()).toMatch(/aaaaaaaa +95 %.* old\nbbbbbbbb +5 %.* new/)
  const back = inferenceService('chat', canary, rolledBack, withCondition('RolledOut', 'False', 'TooSlow'))
  expect(await rolloutStatus(clusterOf(back).client, { ...named, output: 'table' }, io, signal)).toBe(false)
  expect(io.output()).toContain('rolled back')
  expect(io.output()).toContain('Give it more resources')
})

test('an order names the revision and takes the other orders back', async () => {
  const { client, patches } = clusterOf(inferenceService('chat', canary, underWay))
  await order(client, named, 'abort', memoryIo(), signal)
  expect(patches).toEqual([
    {
      metadata: {
        annotations: {
          'hansa.dev/rollout-promote': null,
          'hansa.dev/rollout-abort': 'bbbbbbbb@2026-01-01T01:00:00.000Z',
          'hansa.dev/rollout-retry': null,
        },
      },
    },
  ])
})

test('an order without a rollout, or at the wrong time, says what to do', async () => {
  const attempt = (service: InferenceService, kind: 'promote' | 'retry') =>
    order(clusterOf(service).client, named, kind, memoryIo(), signal)
  await expect(attempt(inferenceService('chat'), 'promote')).rejects.toMatchObject({
    message: expect.stringContaining('no canary'),
    hint: expect.stringContaining('set it to Canary'),
  })
  await expect(attempt(inferenceService('chat', canary, underWay), 'retry')).rejects.toThrow('is under way')
  await expect(attempt(inferenceService('chat', canary, rolledBack), 'promote')).rejects.toThrow('rolled back already')
})

test('pause sets the spec, where there are canaries', async () => {
  const { client, patches } = clusterOf(inferenceService('chat', canary, underWay))
  await setPaused(client, named, true, memoryIo(), signal)
  expect(patches).toEqual([{ spec: { rollout: { paused: true } } }])
  await expect(setPaused(clusterOf(inferenceService('chat')).client, named, true, memoryIo(), signal)).rejects.toThrow(
    'spec.rollout.strategy is Replace',
  )
})

test('watch ends with the rollout, not with what was before the newest spec or before a retry', async () => {
  const promoted = withCondition('RolledOut', 'True', 'Promoted')
  const before = inferenceService('chat', canary, withStatus({ observedGeneration: 0 }), promoted)
  const during = inferenceService('chat', canary, underWay, withCondition('RolledOut', 'Unknown', 'CanaryProgressing'))
  const after = inferenceService('chat', canary, withStatus({ observedGeneration: 1 }), promoted)
  const options = { ...named, timeoutSeconds: 60 }
  const deps = () => ({ io: memoryIo(), clock: hurriedClock() })
  expect(await rolloutWatch(clusterOf(before, during, after).client, options, deps(), signal)).toBe(true)
  const failed = withCondition('RolledOut', 'False', 'TooSlow')
  const back = inferenceService('chat', canary, rolledBack, failed)
  expect(await rolloutWatch(clusterOf(during, back).client, options, deps(), signal)).toBe(false)
  const retried = inferenceService('chat', canary, rolledBack, failed)
  retried.metadata.annotations = { 'hansa.dev/rollout-retry': 'bbbbbbbb@2' }
  expect(await rolloutWatch(clusterOf(retried, during, after).client, options, deps(), signal)).toBe(true)
  await expect(rolloutWatch(clusterOf(during).client, options, deps(), signal)).rejects.toThrow('not ended after 60 s')
})
