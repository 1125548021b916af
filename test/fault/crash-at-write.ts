import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../cluster/fault-proxy/fault.ts'
import { systemNamespace } from '../cluster/hansa/installation.ts'
import { difference, finalState } from './story/final-state.ts'
import { isOperatorWrite, type Stage, startStage } from './story/stage.ts'
import { tellStory } from './story/story.ts'

const instants = 40

export const promise = {
  id: 'crash-at-write',
  claim:
    "Whatever dies or errs at whichever of the operator's writes in the demo's story - killed before or after, reply lost, 409, 500 - and at 40 seeded instants of gateway, worker and API server, the final state is the same",
  aim: 'no telling of the story ends in another state',
}

type Kind = 'kill before' | 'kill after' | 'lost reply' | '409' | '500'
const mild: readonly Kind[] = ['lost reply', '409', '500']
const deadly: readonly Kind[] = ['kill before', 'kill after']
const kinds = [...mild, ...deadly]
const lanes = 3

export type Options = {
  /** Which write indices, from 1; default: all. */
  readonly chooseIndex?: (index: number, writes: number) => boolean
  readonly instants?: number
  readonly seed?: number
}

export async function run(
  report: (line: string) => void,
  options: Options = {},
): Promise<{ figures: string; holds: boolean }> {
  const stage = await startStage('crash', report)
  try {
    return await tellAll(stage, report, options)
  } finally {
    await stage.stop()
  }
}

async function tellAll(stage: Stage, report: (line: string) => void, options: Options) {
  const { proxy } = stage
  const { owner } = stage.installation
  const failures: string[] = []
  let tellings = 0
  let missed = 0

  async function telling(namespace: string): Promise<string> {
    await tellStory(owner, namespace)
    return finalState(owner, namespace)
  }

  const clean = await telling('clean-1')
  const writes = proxy.writes((facts) => isOperatorWrite(facts, 'clean-1')).length
  const again = await telling('clean-2')
  if (again !== clean) failures.push(`two undisturbed tellings differ: ${difference(clean, again)}`)
  report(`undisturbed: ${writes} writes by the operator`)

  async function judge(name: string, namespace: string, disturb: () => () => boolean): Promise<void> {
    const happened = disturb()
    const startedAt = performance.now()
    const outcome = await telling(namespace).then(
      (state) => (state === clean ? undefined : difference(clean, state)),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    void owner.kubectl(['delete', 'namespace', namespace, '--wait=false'])
    if (!happened()) {
      missed += 1
      report(`${name}: the story had no such write this time`)
      return
    }
    tellings += 1
    if (outcome !== undefined) failures.push(`${name}: ${outcome}`)
    report(`${name}: ${outcome === undefined ? 'same final state' : `DIFFERS: ${outcome}`} (${seconds} s)`)
  }

  const indices = Array.from({ length: writes }, (_, i) => i + 1).filter(
    (index) => options.chooseIndex?.(index, writes) !== false,
  )
  const atWrites = (chosen: readonly Kind[]) =>
    indices.flatMap((index) =>
      chosen.map((kind) => {
        const namespace = `story-${index}-${kind.replace(' ', '-')}`
        return () =>
          judge(`write ${index} of ${writes}, ${kind}`, namespace, () => atWrite(stage, namespace, index, kind))
      }),
    )
  // A killed operator disturbs every story that is being told; the other faults strike one namespace only.
  await inLanes(lanes, atWrites(mild))
  proxy.reset()
  await inLanes(1, atWrites(deadly))
  proxy.reset()

  const random = seeded(options.seed ?? 20261122)
  const count = options.instants ?? instants
  for (let i = 1; i <= count; i++) {
    const victim = (['gateway', 'worker', 'API server'] as const)[Math.floor(random() * 3)] ?? 'worker'
    const seconds = random() * 10
    const namespace = `instant-${i}`
    await judge(`instant ${i}: ${victim} after ${seconds.toFixed(2)} s`, namespace, () =>
      atInstant(stage, namespace, victim, seconds),
    )
  }
  return {
    figures: `${failures.length} of ${tellings} disturbed tellings (${writes} writes x ${kinds.length} faults, ${count} instants; ${missed} aimed past the last write of their telling) ended in another state`,
    holds: failures.length === 0 && tellings > 0,
  }
}

async function inLanes(count: number, tasks: (() => Promise<void>)[]): Promise<void> {
  const waiting = [...tasks]
  const lane = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await task()
  }
  await Promise.all(Array.from({ length: count }, lane))
}

/** Arms the proxy for the operator's n-th write into the namespace; the result tells whether it came to that. */
function atWrite({ proxy, killOperator }: Stage, namespace: string, index: number, kind: Kind): () => boolean {
  let seen = 0
  const faults: Record<Kind, Fault> = {
    'kill before': { type: 'Call', at: 'before', run: killOperator, outcome: 'cut' },
    'kill after': { type: 'Call', at: 'after', run: killOperator, outcome: 'cut' },
    'lost reply': { type: 'LoseReply' },
    '409': { type: 'Respond', status: 409 },
    '500': { type: 'Respond', status: 500 },
  }
  const rule = proxy.inject(faults[kind], {
    times: 1,
    when: (facts) => isOperatorWrite(facts, namespace) && ++seen === index,
  })
  return () => rule.hits.length > 0
}

function atInstant(
  stage: Stage,
  namespace: string,
  victim: 'gateway' | 'worker' | 'API server',
  seconds: number,
): () => boolean {
  const { nodes, owner } = stage.installation
  let happened = false
  const strike = async () => {
    await sleep(seconds * 1000)
    if (victim === 'API server') {
      await owner.parts.apiserver.kill()
      happened = true
      await owner.parts.apiserver.restart()
      return
    }
    const [where, prefix, container] =
      victim === 'gateway' ? [systemNamespace, 'hansa-gateway-', 'gateway'] : [namespace, 'digits-', 'serve']
    for (let attempt = 0; attempt < 100 && !happened; attempt++) {
      for (const node of nodes) {
        for (const pod of node.pods()) {
          if (pod.namespace === where && pod.name.startsWith(prefix))
            happened ||= node.killContainer(where, pod.name, container, 'SIGKILL')
        }
      }
      await sleep(100)
    }
  }
  void strike().catch(() => undefined)
  return () => happened
}

/** Mulberry32: the same instants for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
