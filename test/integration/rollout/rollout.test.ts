import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository } from '../../cluster/hansa/images.ts'
import { type Stage, startStage } from '../../fault/rollout-safe/stage.ts'

const timeout = 300_000
const steps = [
  { percent: 20, seconds: 2 },
  { percent: 50, seconds: 2 },
]
// So many that a probable share of slow and failed requests on a busy machine decides nothing by chance.
const analysis = { windowSeconds: 10, minRequests: 10, maxErrorPermille: 10, maxLatencyPermille: 4000 }
const forever = [{ percent: 20, seconds: 3600 }]

let stage: Stage | undefined
const it = () => {
  if (stage === undefined) throw new Error('the installation did not start')
  return stage
}

beforeAll(async () => {
  stage = await startStage({ name: 'rollout', values: { 'operator.replicas': '1', 'gateway.replicas': '1' } })
})
afterAll(async () => {
  await stage?.stop()
})

/** The command line as a user runs it. */
function hansa(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const script = join(repository, 'operator/src/cli/main.ts')
    const env = { ...process.env, KUBECONFIG: it().installation.owner.kubeconfigPath }
    const words = ['rollout', ...args, '-n', it().namespace]
    execFile(process.execPath, [script, ...words], { timeout: 120_000, env }, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 128
      done({ code, output: stdout + stderr })
    })
  })
}

/** Runs with requests at a constant rate; expects that none of them failed or was answered wrongly. */
async function underLoad(name: string, action: () => Promise<void>): Promise<void> {
  const load = await it().load(name, 40)
  try {
    await action()
  } finally {
    await load.stop()
  }
  const tally = load.take()
  expect({ failed: tally.failed, wrong: tally.wrong, problems: [...tally.problems] }).toEqual({
    failed: 0,
    wrong: 0,
    problems: [],
  })
  expect(tally.answered).toBeGreaterThan(20)
}

test('a good revision goes through its steps and is promoted; no request fails', { timeout }, async () => {
  await it().createService('steps', 'good', { steps, analysis })
  const { revision: old } = (await it().read('steps')).status
  await underLoad('steps', async () => {
    await it().use('steps', 'better')
    const watching = hansa('watch', 'steps', '--timeout', '110')
    const first = await it().until('has a share', 'steps', ({ status }) => (status.traffic?.length ?? 0) === 2)
    expect(first.status.traffic?.reduce((sum, { percent }) => sum + percent, 0)).toBe(100)
    expect(first.status).toMatchObject({ revision: old, rollout: { state: 'Progressing' } })
    const done = await it().until('is promoted', 'steps', ({ status }) => status.revision !== old)
    expect(done.status.traffic).toEqual([{ revision: done.status.latestRevision, percent: 100 }])
    expect(done.status.rollout).toBeUndefined()
    expect(await watching).toMatchObject({ code: 0 })
  })
  await it().until('the old workers are gone', 'steps', ({ status }) => status.replicas === 1)
  const events = await it().events('steps')
  expect(events.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['CanaryProgressing', 'Promoted']))
})

test('a revision that fails is rolled back with figures, tried again by order, and users notice nothing', {
  timeout,
}, async () => {
  await it().createService('broken', 'good', { steps: forever, analysis })
  const { revision: old } = (await it().read('broken')).status
  await underLoad('broken', async () => {
    await it().use('broken', 'broken')
    const seen = await it().rolledOut('broken', 'TooManyErrors')
    expect(seen.status).toMatchObject({ traffic: [{ revision: old, percent: 100 }], rollout: { state: 'RolledBack' } })
    expect(seen.status.rollout?.message).toMatch(/^TooManyErrors: \d+ of \d+ requests failed/)
    expect((await hansa('status', 'broken')).code).toBe(1)
    expect(await hansa('promote', 'broken')).toMatchObject({ code: 1, output: expect.stringContaining('retry broken') })
    expect(await hansa('retry', 'broken')).toMatchObject({ code: 0 })
    await it().until('is tried again', 'broken', ({ status }) => status.rollout?.state === 'Progressing')
    expect(await hansa('watch', 'broken', '--timeout', '110')).toMatchObject({ code: 1 })
  })
  const told = (await it().events('broken')).filter(({ reason }) => reason === 'TooManyErrors')
  expect(told[0]).toMatchObject({ type: 'Warning', note: expect.stringMatching(/\d+ of \d+ requests failed/) })
  // Back to the old model, the service is as before.
  await it().use('broken', 'good')
  await it().rolledOut('broken', 'Promoted')
})

test('a slow revision is rolled back', { timeout }, async () => {
  await it().createService('slow', 'good', { steps: forever, analysis })
  await underLoad('slow', async () => {
    await it().use('slow', 'slow')
    const seen = await it().rolledOut('slow', 'TooSlow')
    expect(seen.status.rollout?.message).toMatch(/90th percentile of \d+ requests is [\d.]+ ms/)
  })
})

test('a revision that answers otherwise is found on mirrored requests, before users see it', { timeout }, async () => {
  await it().createService('other', 'good', {
    steps: [{ percent: 0, seconds: 3600 }],
    analysis,
    mirror: { permille: 500, tolerance: '0.001', maxDisagreementPermille: 10 },
  })
  await underLoad('other', async () => {
    await it().use('other', 'disagreeing')
    const seen = await it().rolledOut('other', 'Disagrees')
    expect(seen.status.rollout?.message).toMatch(/\d+ of \d+ mirrored requests/)
  })
})

test('a revision whose workers cannot load it gets no request and is rolled back', { timeout }, async () => {
  await it().createService('unloadable', 'good', { steps, analysis })
  const { revision: old } = (await it().read('unloadable')).status
  await it().use('unloadable', 'unloadable')
  const seen = await it().rolledOut('unloadable', 'NotReady')
  expect(seen.status.traffic).toEqual([{ revision: old, percent: 100 }])
  await it().until('is ready with the old one', 'unloadable', ({ status }) => status.readyReplicas === 1)
})

test('pause, resume, abort, promote; and a restarted operator goes on where it was', { timeout }, async () => {
  await it().createService('orders', 'good', { steps: [{ percent: 20, seconds: 1 }], analysis })
  const { revision: old } = (await it().read('orders')).status
  expect(await hansa('abort', 'orders')).toMatchObject({ code: 1, output: expect.stringContaining('no canary') })
  await it().patch('orders', { rollout: { steps: forever } })
  await it().use('orders', 'better')
  await it().until('has a share', 'orders', ({ status }) => (status.traffic?.length ?? 0) === 2)
  expect((await hansa('pause', 'orders')).code).toBe(0)
  const paused = await it().rolledOut('orders', 'CanaryPaused')
  await it().installation.owner.kubectl([
    'delete',
    'pod',
    '-n',
    'hansa-system',
    '-l',
    'app.kubernetes.io/component=operator',
  ])
  expect((await hansa('resume', 'orders')).code).toBe(0)
  const resumed = await it().rolledOut('orders', 'CanaryProgressing')
  expect(resumed.status.traffic).toEqual(paused.status.traffic)
  expect(resumed.status.rollout?.stepStartedTime).toBe(paused.status.rollout?.stepStartedTime)
  const shown = await hansa('status', 'orders')
  expect(shown).toMatchObject({ code: 0, output: expect.stringMatching(/REVISION +TRAFFIC +READY +WANTED +ROLE/) })
  expect((await hansa('abort', 'orders')).code).toBe(0)
  const aborted = await it().rolledOut('orders', 'Aborted')
  expect(aborted.status.traffic).toEqual([{ revision: old, percent: 100 }])
  await it().until('the new workers are gone', 'orders', ({ status }) => status.replicas === 1)
  expect((await hansa('retry', 'orders')).code).toBe(0)
  await it().until('has a share again', 'orders', ({ status }) => (status.traffic?.length ?? 0) === 2)
  expect((await hansa('promote', 'orders')).code).toBe(0)
  const promoted = await it().rolledOut('orders', 'Promoted')
  expect(promoted.status.revision).not.toBe(old)
})

test('a canary counts beside what the service is scaled to', { timeout }, async () => {
  await it().createService(
    'scaled',
    'good',
    { steps: forever, analysis },
    { scaling: { mode: 'External' }, replicas: 1 },
  )
  const { revision: old } = (await it().read('scaled')).status
  await it().use('scaled', 'better')
  await it().until('has a share', 'scaled', ({ status }) => (status.traffic?.length ?? 0) === 2)
  await it().kubectl('scale', 'inferenceservices.hansa.dev/scaled', '--replicas=2')
  await it().until('has two old workers and a new one', 'scaled', ({ status }) => status.readyReplicas === 3)
  const replicas = await it().kubectl('get', `deployment/scaled-${old}`, '-o', 'jsonpath={.spec.replicas}')
  expect(replicas).toBe('2')
  await it().kubectl('scale', 'inferenceservices.hansa.dev/scaled', '--replicas=0')
  const asleep = await it().until('sleeps', 'scaled', ({ status }) => status.replicas === 0)
  expect(asleep.status).toMatchObject({
    rollout: { state: 'Progressing' },
    traffic: expect.arrayContaining([{ revision: old, percent: 80 }]),
  })
  await it().kubectl('scale', 'inferenceservices.hansa.dev/scaled', '--replicas=1')
  await it().until('is awake', 'scaled', ({ status }) => status.readyReplicas === 2)
  // Back to the old revision: the canary is over at once.
  await it().use('scaled', 'good')
  const back = await it().rolledOut('scaled', 'Promoted')
  expect(back.status.traffic).toEqual([{ revision: old, percent: 100 }])
})
