import { Worker } from 'node:worker_threads'
import type { Clock } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { Answer } from './answer-copy.ts'
import type { Verdict } from './compare-answers.ts'

export type SentAnswer = Omit<Answer, 'body'> & { body: Uint8Array }
export type CompareJob = { id: number; ours: SentAnswer; theirs: SentAnswer; tolerance: number }
export type CompareReply = { id: number; verdict: Verdict }

export type Comparer = {
  /** Never rejects; `incomparable` when it takes more than two seconds or the thread fails. */
  compare(ours: Answer, theirs: Answer, tolerance: number): Promise<Verdict>
  close(): Promise<void>
}

const longestMs = 2000
const idleMs = 60_000
const heapMegabytes = 64

/** Compares answers in a thread, started when the first pair comes and ended when none came for a minute; callers bound how many wait. */
export function createComparer(deps: { clock: Clock; log: Logger }): Comparer {
  const { clock, log } = deps
  const waiting = new Map<number, (verdict: Verdict) => void>()
  let thread: Worker | undefined
  let cancelIdle = () => {}
  let nextId = 0

  function start(): Worker {
    const started = new Worker(new URL('./compare-thread.ts', import.meta.url), {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    })
    started.unref()
    started.on('message', ({ id, verdict }: CompareReply) => waiting.get(id)?.(verdict))
    started.on('error', (error) => log.warn({ error: messageOf(error) }, 'comparing mirrored answers failed'))
    started.on('exit', () => {
      if (thread !== started) return
      thread = undefined
      for (const settle of waiting.values()) settle('incomparable')
    })
    return started
  }

  function end(): Promise<unknown> {
    cancelIdle()
    const ending = thread
    thread = undefined
    for (const settle of waiting.values()) settle('incomparable')
    return Promise.resolve(ending?.terminate())
  }

  return {
    compare: (ours, theirs, tolerance) =>
      new Promise((resolve) => {
        const id = nextId
        nextId += 1
        cancelIdle()
        thread ??= start()
        // Whatever hangs, hangs in the thread; the next pair gets a new one.
        const cancel = clock.after(longestMs, () => void end())
        waiting.set(id, (verdict) => {
          cancel()
          waiting.delete(id)
          if (waiting.size === 0) cancelIdle = clock.after(idleMs, () => void end())
          resolve(verdict)
        })
        const job: CompareJob = { id, ours, theirs, tolerance }
        thread.postMessage(job)
      }),
    close: async () => {
      await end()
      cancelIdle()
    },
  }
}

/** A Buffer arrives on the other side of a thread as a plain array of bytes. */
export function received({ body, ...rest }: SentAnswer): Answer {
  return { ...rest, body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) }
}
