import type { Clock } from '../../kube/clock.ts'
import type { Route } from '../route/route.ts'
import type { Worker } from '../route/worker.ts'
import { type Answer, AnswerCopy } from './answer-copy.ts'
import type { Verdict } from './compare-answers.ts'
import { MirrorAttempt } from './mirror-attempt.ts'

/** A request as it went to a worker. */
export type MirroredRequest = {
  path: string
  /** Names and values in turn, as sent. */
  headers: readonly string[]
  body: Buffer
}

/** `agreed` and `disagreed` are counted for the revision; `skipped`: nothing was compared, which says nothing of the revision. */
export type MirrorOutcome = 'agreed' | 'disagreed' | 'skipped'

export type MirrorDeps = {
  clock: Clock
  random: () => number
  compare: (ours: Answer, theirs: Answer, tolerance: number) => Promise<Verdict>
  onMirrored: (route: Route, revision: string, outcome: MirrorOutcome) => void
}

// Each holds a request of at most 256 KiB and two answers of at most 1 MiB.
const maxAtOnce = 8
const longestMs = 30_000
const inferPath = /\/infer(?:\?|$)/

/**
 * Sends a sample of inference requests to a revision that is being tried, after the user has the old revision's answer, and compares
 * the two. Users never wait for it: when all places are taken, a request is simply not mirrored.
 */
export class Mirror {
  #atOnce = 0
  readonly #under = new Set<MirrorAttempt>()
  readonly #deps: MirrorDeps

  constructor(deps: MirrorDeps) {
    this.#deps = deps
  }

  /** Draws whether this request is mirrored; the result wants the user's answer, to its end or cancelled. */
  draw(route: Route, request: MirroredRequest): AnswerCopy | undefined {
    const { mirror } = route.spec
    if (mirror === undefined || !inferPath.test(request.path)) return undefined
    if (this.#deps.random() * 1000 >= mirror.permille || this.#atOnce >= maxAtOnce) return undefined
    this.#atOnce += 1
    return new AnswerCopy((answer) => {
      // Only a good answer has anything to agree with.
      if (answer?.status !== 200) {
        this.#atOnce -= 1
        return
      }
      void this.#run(route, request, answer, mirror).finally(() => {
        this.#atOnce -= 1
      })
    })
  }

  /** Ends what is under way. */
  close(): void {
    for (const attempt of this.#under) attempt.abandon()
  }

  async #run(
    route: Route,
    request: MirroredRequest,
    ours: Answer,
    { revision, tolerance }: { revision: string; tolerance: number },
  ): Promise<void> {
    const worker = route.pickMirror()
    const outcome = worker === undefined ? 'skipped' : await this.#compared(worker, request, ours, tolerance)
    const counts = route.demand.revision(revision, this.#deps.clock.monotonic())
    if (outcome !== 'skipped') counts.mirrored += 1
    if (outcome === 'disagreed') counts.disagreed += 1
    this.#deps.onMirrored(route, revision, outcome)
  }

  async #compared(worker: Worker, request: MirroredRequest, ours: Answer, tolerance: number): Promise<MirrorOutcome> {
    const { clock } = this.#deps
    // Its own time, not what was left of the user's: else a user in a hurry would speak against the new revision.
    const attempt = new MirrorAttempt(worker, request, longestMs)
    this.#under.add(attempt)
    const cancel = clock.after(longestMs, () => attempt.tooLate())
    const end = await attempt.answer
    cancel()
    this.#under.delete(attempt)
    if (end === 'refused' || end === 'tooLarge') return 'skipped'
    if (end === 'failed' || end.status !== 200) return 'disagreed'
    const verdict = await this.#deps.compare(ours, end, tolerance)
    return verdict === 'incomparable' ? 'skipped' : verdict === 'same' ? 'agreed' : 'disagreed'
  }
}
