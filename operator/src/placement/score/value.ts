import type { Strategy } from '../../api/placement.ts'
import type { PlacementFacts } from '../input.ts'
import type { Judged } from '../judge.ts'
import { fairnessScore } from './fairness.ts'
import { latencyScore } from './latency.ts'
import { ownScore } from './own-first.ts'
import { priceScore } from './price.ts'
import { reliabilityScore } from './reliability.ts'

export type Scores = { price: number; latency: number; own: number; reliability: number; fairness: number }
type Weights = Readonly<Partial<Record<keyof Scores, number>>>

/** What a strategy looks at, in per cent; and what decides between those who are alike in that. */
const weights: Readonly<Record<Strategy, { main: Weights; ties: Weights }>> = {
  OwnFirst: { main: { own: 40, price: 20, latency: 15, reliability: 20, fairness: 5 }, ties: { fairness: 100 } },
  Cheapest: { main: { price: 100 }, ties: { own: 40, reliability: 30, latency: 20, fairness: 10 } },
  Fastest: { main: { latency: 100 }, ties: { reliability: 40, price: 40, fairness: 20 } },
  MostResilient: { main: { reliability: 70, latency: 15, price: 15 }, ties: { fairness: 100 } },
}

/** Values are whole numbers: the score times this, and below it what decides between equal scores. */
export const unit = 1001

export type Valued = { scores: Scores /** 0 to 1000. */; score: number; value: number }

/** What a worker there is worth by the strategy. */
export function appraise(judged: Judged, facts: PlacementFacts): Valued {
  const scores: Scores = {
    price: priceScore(judged, facts),
    latency: latencyScore(judged),
    own: ownScore(judged),
    reliability: reliabilityScore(judged),
    fairness: fairnessScore(judged),
  }
  const { main, ties } = weights[facts.strategy]
  const score = mean(scores, main)
  return { scores, score, value: score * unit + mean(scores, ties) }
}

function mean(scores: Scores, by: Weights): number {
  const sum = Object.entries(by).reduce((total, [name, weight]) => total + weight * scores[name as keyof Scores], 0)
  return Math.floor(sum / 100)
}
