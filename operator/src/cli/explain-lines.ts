import type { InferenceService } from '../api/inference-service.ts'
import type { PlacementCandidate } from '../api/placement.ts'
import type { Candidate, Decision } from '../placement/decide.ts'
import type { PlacementFacts } from '../placement/input.ts'
import { type Io, paint, plain } from './io.ts'

type Explained = {
  service: InferenceService
  facts: PlacementFacts
  decision: Decision
  /** What the caller may not read, and what was taken instead. */
  unknown: readonly string[]
}

/** One line an owner, with its numbers or all reasons against it. */
export function candidateLines({ service, facts, decision, unknown }: Explained, io: Io): string[] {
  const { namespace, name } = service.metadata
  const workers = (count: number) => `${count} ${count === 1 ? 'worker' : 'workers'}`
  const fixed = (service.spec.placement?.peers ?? []).filter(({ replicas }) => replicas !== undefined)
  const title = `InferenceService ${namespace}/${name}: ${workers(facts.total)}, ${facts.strategy}, ${facts.dataClass} data`
  return [
    paint(io, 'bold', plain(title)),
    ...decision.candidates.flatMap((each) => lines(each, io)),
    ...fixed.map((each) => `  ${plain(each.name)}: ${workers(each.replicas ?? 0)}, a fixed count beside the plan`),
    ...(decision.unplaced > 0
      ? [
          `  ${paint(io, 'red', `no place for ${workers(decision.unplaced)}`)}: they wait in this cluster, or where they were refused`,
        ]
      : []),
    ...unknown.map((each) => `  ${paint(io, 'yellow', '?')} ${plain(each)}`),
  ]
}

/** What the operator wrote into the status, for who may read no more. */
export function saidLines(
  { metadata }: InferenceService,
  candidates: readonly PlacementCandidate[],
  unknown: readonly string[],
  io: Io,
): string[] {
  return [
    paint(io, 'bold', plain(`InferenceService ${metadata.namespace}/${metadata.name}`)),
    ...candidates.map(({ owner, replicas, score, reasons = [] }) =>
      plain(`  ${owner}: ${replicas}${score === undefined ? `, ${reasons.join(', ')}` : `, score ${score}`}`),
    ),
    ...(candidates.length === 0 ? ['  no strategy divides its workers'] : []),
    ...unknown.map((each) => `  ${paint(io, 'yellow', '?')} ${plain(each)}`),
  ]
}

function lines(candidate: Candidate, io: Io): string[] {
  const { name, replicas, current, score, scores, rejections, limit, peer } = candidate
  if (rejections.length > 0) {
    return [
      `  ${paint(io, 'red', 'x')} ${plain(name)}: none`,
      ...rejections.map(({ reason, message }) => `      ${paint(io, 'red', reason)}: ${plain(message)}`),
    ]
  }
  const now = current === replicas ? '' : ` (now ${current})`
  const numbers = Object.entries(scores)
    .map(([word, value]) => `${word} ${value}`)
    .join(', ')
  const trip = peer === undefined ? '' : `; round trip ${roundTrip(peer.roundTripMilliseconds)}`
  return [
    `  ${paint(io, replicas > 0 ? 'green' : 'grey', replicas > 0 ? '+' : '-')} ${plain(name)}: ${replicas}${now}, score ${score} (${numbers})`,
    `      ${plain(limit)}${trip}`,
  ]
}

function roundTrip(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'not measured' : `up to ${milliseconds} ms`
}
