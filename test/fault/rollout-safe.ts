import { parseArgs } from 'node:util'
import { type Load, quantile, type Tally, total } from './rollout-safe/load.ts'
import type { ModelName } from './rollout-safe/models.ts'
import { reasonOf, type SeenService, type Stage, startStage } from './rollout-safe/stage.ts'

export const promise = {
  id: 'rollout-safe',
  claim:
    'Users pay for no rollout: a good revision is promoted, a failing, a slow and a disagreeing one are rolled back by themselves, at constant load',
  aim: 'of 100,000 requests none fails and none is answered wrongly; 10 s from the first requests of a bad revision to none',
}

type Options = { requests: number; requestsPerSecond: number }
const full: Options = { requests: 100_000, requestsPerSecond: 250 }
const smoke: Options = { requests: 5_000, requestsPerSecond: 100 }
const rollBackAim = 10
const name = 'safe'

const steps = [
  { percent: 5, seconds: 10 },
  { percent: 25, seconds: 10 },
  { percent: 50, seconds: 10 },
]
const mirror = { permille: 100, tolerance: '0.001', maxDisagreementPermille: 10 }
const analysis = { windowSeconds: 10, minRequests: 20, maxErrorPermille: 10, maxLatencyPermille: 3000 }

type Scene = { title: string; model: ModelName; reason: string; rollout: object; isCompared: boolean }
const scenes: readonly Scene[] = [
  { title: 'good', model: 'better', reason: 'Promoted', rollout: { steps, mirror: null }, isCompared: false },
  { title: 'broken', model: 'broken', reason: 'TooManyErrors', rollout: { steps, mirror: null }, isCompared: true },
  { title: 'slow', model: 'slow', reason: 'TooSlow', rollout: { steps, mirror: null }, isCompared: true },
  {
    title: 'disagreeing',
    model: 'disagreeing',
    reason: 'Disagrees',
    rollout: { steps: [{ percent: 0, seconds: 10 }, ...steps], mirror },
    isCompared: true,
  },
]

/** Sends requests at a constant rate through rollouts of each kind, one after another, until enough were sent. */
export async function run(
  report: (line: string) => void,
  options: Options = full,
): Promise<{ figures: string; holds: boolean }> {
  const stage = await startStage({ name: 'rollout-safe', log: report })
  const seconds = new Map<string, number[]>()
  const tallies: Tally[] = []
  const problems: string[] = []
  let unsafe: Tally | undefined
  try {
    await stage.createService(name, 'good', { steps, analysis }, { scaling: { minReplicas: 2, maxReplicas: 2 } })
    const load = await stage.load(name, options.requestsPerSecond)
    try {
      await pause(3_000)
      const quiet = take(load, tallies)
      report(`before any rollout: ${words(quiet)}`)
      let sent = quiet.sent
      const serves: { model: ModelName } = { model: 'good' }
      for (let round = 0; round < scenes.length || sent < options.requests; round += 1) {
        const scene = scenes[round % scenes.length]
        if (scene === undefined) break
        // Good ones take turns, so that each is new.
        const model: ModelName = scene.model === 'better' && serves.model === 'better' ? 'good' : scene.model
        try {
          const took = await play(stage, scene, model, serves.model)
          seconds.set(scene.title, [...(seconds.get(scene.title) ?? []), took.seconds])
          if (scene.title === 'good') serves.model = model
          const tally = take(load, tallies)
          sent += tally.sent
          report(
            `${scene.title}: ${scene.reason} ${took.seconds.toFixed(1)} s after its first requests: ${took.message}`,
          )
          report(`  ${words(tally)}; ${sent} requests so far`)
        } catch (thrown) {
          problems.push(`${scene.title} did not end as ${scene.reason}`)
          report(`${scene.title}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
          break
        }
      }
      await pause(1_000)
    } finally {
      await load.stop()
    }
    take(load, tallies)
    unsafe = await withoutCanary(stage, options, report)
  } finally {
    await stage.stop()
  }
  const all = total(tallies)
  for (const [problem, count] of all.problems) report(`failed ${count} times: ${problem}`)
  const bad = ['broken', 'slow', 'disagreeing'].flatMap((title) => seconds.get(title) ?? [])
  const list = (title: string) => (seconds.get(title) ?? []).map((each) => each.toFixed(1)).join(', ') || 'never'
  const figures = [
    `n=${all.sent} at ${options.requestsPerSecond}/s`,
    `${all.failed} failed, ${all.wrong} wrong, p50 ${quantile(all.latencies, 0.5).toFixed(0)} ms, p99 ${quantile(all.latencies, 0.99).toFixed(0)} ms`,
    `promoted after ${list('good')} s of steps`,
    `rolled back: broken ${list('broken')} s, slow ${list('slow')} s, disagreeing ${list('disagreeing')} s`,
    ...(unsafe === undefined
      ? []
      : [`the broken one without canary: ${unsafe.failed} of ${unsafe.sent} failed in 5 s`]),
    ...problems,
  ].join('; ')
  const isWhole = scenes.every(({ title }) => seconds.has(title)) && all.sent >= options.requests * 0.9
  const holds =
    problems.length === 0 && isWhole && all.failed === 0 && all.wrong === 0 && Math.max(...bad) <= rollBackAim
  return { figures, holds }
}

/** One rollout: from the first moment at which gateways are told to use the new revision until they are told its end. */
async function play(
  stage: Stage,
  scene: Scene,
  model: ModelName,
  serving: ModelName,
): Promise<{ seconds: number; message: string }> {
  await stage.patch(name, { rollout: scene.rollout, modelRef: { name: model } })
  const hasNew = (seen: SeenService) => seen.status.traffic?.some(isTried(seen)) ?? false
  const began = await stage.until('has requests', name, (seen) => hasNew(seen) || ended(seen, scene) !== undefined)
  const beganAt = performance.now()
  if (!hasNew(began)) throw new Error(`it ended before it had a request: ${ended(began, scene)}`)
  const end = await stage.until(`ends as ${scene.reason}`, name, (seen) => ended(seen, scene) !== undefined, 180)
  const seconds = (performance.now() - beganAt) / 1000
  const message = end.status.conditions?.find(({ type }) => type === 'RolledOut')?.message ?? ''
  if (reasonOf(end, 'RolledOut') !== scene.reason) throw new Error(message)
  if (scene.isCompared) {
    await stage.use(name, serving)
    await stage.rolledOut(name, 'Promoted')
  }
  await stage.until('has no other workers', name, ({ status }) => status.replicas === 2)
  return { seconds, message }
}

const isTried =
  ({ status }: SeenService) =>
  ({ revision }: { revision: string }) =>
    revision === status.rollout?.revision && status.rollout.state !== 'RolledBack'

function ended(seen: SeenService, { reason }: Scene): string | undefined {
  const now = reasonOf(seen, 'RolledOut')
  if (now === undefined || now.startsWith('Canary')) return undefined
  // Before the operator has seen the new model, all is promoted.
  return now === 'Promoted' && reason !== 'Promoted' ? undefined : now
}

/** The same broken revision by the strategy Replace, as a Deployment of Kubernetes would roll it out. */
async function withoutCanary(
  stage: Stage,
  { requestsPerSecond }: Options,
  report: (line: string) => void,
): Promise<Tally> {
  await stage.patch(name, { rollout: { strategy: 'Replace' } })
  const load = await stage.load(name, requestsPerSecond)
  try {
    const before = (await stage.read(name)).status.revision
    await stage.use(name, 'broken')
    await stage.until('is replaced', name, ({ status }) => status.revision !== before)
    load.take()
    await pause(5_000)
    await load.stop()
    const tally = load.take()
    report(`for comparison, the broken revision without canary, 5 s: ${words(tally)}`)
    return tally
  } finally {
    await load.stop()
  }
}

/** What ended since the last look; what is under way counts into it when it ends. */
function take(load: Load, tallies: Tally[]): Tally {
  const tally = load.take()
  tallies.push(tally)
  return tally
}

function words({ sent, answered, failed, wrong, latencies }: Tally): string {
  return `${sent} sent, ${answered} answered, ${failed} failed, ${wrong} wrong, p50 ${quantile(latencies, 0.5).toFixed(0)} ms, p99 ${quantile(latencies, 0.99).toFixed(0)} ms`
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds))

if (import.meta.main) {
  // node test/fault/rollout-safe.ts --smoke: each kind of rollout once.
  const { values } = parseArgs({ options: { smoke: { type: 'boolean', default: false } } })
  const outcome = await run(console.log, values.smoke ? smoke : full)
  console.log(`${outcome.figures}: ${outcome.holds ? 'holds' : 'falls short'}`)
  process.exitCode = outcome.holds ? 0 : 1
}
