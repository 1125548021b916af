/** Seeded randomness of one scenario: mulberry32. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** Uniform in [0, 1). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least)
  }

  happens(probability: number): boolean {
    return probability > 0 && this.random() < probability
  }
}

/** How often a call of the line is disturbed, 0 to 1. */
export type Noise = {
  readonly delay: number
  readonly duplicate: number
  /** The caller hears nothing; the message arrives later, others overtake it. */
  readonly late: number
  /** Taken, but the caller does not learn it. */
  readonly lostReply: number
  /** How long late messages and copies take, in milliseconds. */
  readonly leastMs: number
  readonly longestMs: number
}

export const quiet: Noise = { delay: 0, duplicate: 0, late: 0, lostReply: 0, leastMs: 0, longestMs: 0 }

/** What a scenario's line does beside a bit of everything. */
export const lineFaults = [
  'short cut',
  'long cut',
  'cut to the executor',
  'cut to the requester',
  'delay',
  'duplication',
  'reorder',
  'lost acknowledgement',
] as const
export type LineFault = (typeof lineFaults)[number]

const little: Noise = { delay: 0.1, duplicate: 0.05, late: 0.03, lostReply: 0.05, leastMs: 0, longestMs: 2_000 }

export function noiseOf(fault: LineFault): Noise {
  switch (fault) {
    case 'delay':
      return { ...little, delay: 0.7 }
    case 'duplication':
      return { ...little, duplicate: 0.6 }
    case 'reorder':
      return { ...little, duplicate: 0.7, leastMs: 3_500, longestMs: 7_000 }
    case 'lost acknowledgement':
      return { ...little, lostReply: 0.4 }
    case 'short cut':
    case 'long cut':
    case 'cut to the executor':
    case 'cut to the requester':
      return little
    default:
      return fault satisfies never
  }
}

/** What happens to the operators of both owners in a round. */
export const roundFaults = [
  'none',
  'requester crashes',
  'executor crashes',
  'etcd of the requester restored',
  'etcd of the executor restored',
] as const
export type RoundFault = (typeof roundFaults)[number]
