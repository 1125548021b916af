import { type Clock, sleep } from '../../kube/clock.ts'
import type { BatchAnswer } from '../../ledger/record.ts'
import { batchLimits } from '../../ledger/record.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { Spool } from './spool.ts'

/** Hands a body to the ledger; rejects when it did not answer with 200. */
export type PostRecords = (body: string, signal: AbortSignal) => Promise<BatchAnswer>

export type Pusher = {
  /** Tries until the ledger has all that was written before, or the time is over; says whether it has. */
  drain(milliseconds: number): Promise<boolean>
  close(): Promise<void>
}

const gatherMilliseconds = 50
const longestPauseMilliseconds = 10_000
const answerMilliseconds = 20_000

/**
 * Sends the records of a spool to the ledger in their order, repeats until they were taken, and removes what was taken. With nothing
 * to send it asks every `idleMilliseconds` all the same, to learn which grants are stopped.
 */
export function startPusher(deps: {
  spool: Spool
  post: PostRecords
  onAnswer: (answer: BatchAnswer) => void
  idleMilliseconds: number
  clock: Clock
  log: Logger
}): Pusher {
  const { spool, post, onAnswer, idleMilliseconds, clock, log } = deps
  const stopping = new AbortController()
  let position = spool.released
  let taken = spool.released
  let failures = 0
  let wake: () => void = () => undefined
  const waiters = new Set<() => void>()
  spool.onAppended(() => wake())

  async function push(): Promise<void> {
    // Room for the commas and the head of the body.
    const limits = { records: batchLimits.records, bytes: batchLimits.bytes - 4096 }
    const { first, records } = await spool.read(position, limits)
    const head = `{"gateway":"${spool.id}","first":${first},"taken":${taken},"records":[`
    const body = `${head}${records.map((record) => record.toString('utf8')).join(',')}]}`
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(answerMilliseconds)])
    const answer = await post(body, signal)
    position = Math.max(first + records.length, answer.next)
    taken = position
    onAnswer(answer)
    await spool.release(taken)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await push()
        if (failures > 0) log.info('the ledger takes receipts again')
        failures = 0
      } catch (error) {
        if (stopping.signal.aborted) return
        failures += 1
        log[failures === 1 ? 'warn' : 'debug']({ error: messageOf(error) }, 'the ledger does not take receipts')
      }
      if (position >= spool.next) for (const done of waiters) done()
      await pause()
    }
  }

  async function pause(): Promise<void> {
    if (failures > 0) {
      await sleep(clock, Math.min(longestPauseMilliseconds, 250 * 2 ** Math.min(failures, 10)), stopping.signal)
      return
    }
    if (position < spool.next) {
      await sleep(clock, gatherMilliseconds, stopping.signal)
      return
    }
    const woken = new AbortController()
    wake = () => woken.abort()
    if (position >= spool.next) {
      await sleep(clock, idleMilliseconds, AbortSignal.any([stopping.signal, woken.signal]))
    }
    wake = () => undefined
    // What comes at about the same time goes in one batch.
    await sleep(clock, gatherMilliseconds, stopping.signal)
  }

  const running = run()
  return {
    async drain(milliseconds) {
      if (position >= spool.next) return true
      const over = new AbortController()
      const done = () => over.abort()
      waiters.add(done)
      await sleep(clock, milliseconds, over.signal)
      waiters.delete(done)
      return position >= spool.next
    },
    async close() {
      stopping.abort()
      await running
    },
  }
}
