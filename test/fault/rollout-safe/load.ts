import { Agent, request } from 'undici'
import { goodAnswers } from './models.ts'

export type Tally = {
  sent: number
  answered: number
  failed: number
  wrong: number
  /** Milliseconds from when a request was due. */
  latencies: number[]
  /** How often each kind of failure came. */
  problems: Map<string, number>
}

export type Load = {
  /** Counts since the last call, or since the start. */
  take(): Tally
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>
}

/**
 * Sends requests at a constant rate whatever the answers do (open loop), each for one entry of the table; anything but status 200
 * counts as failed, any other entry as wrong.
 */
export function startLoad(options: {
  url: string
  model: string
  caPem: string
  token: string
  requestsPerSecond: number
}): Load {
  const { url, model, requestsPerSecond } = options
  // Handshakes of many connections at once take their time on a busy machine.
  const dispatcher = new Agent({ connect: { ca: options.caPem, timeout: 60_000 }, connections: 128 })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${options.token}` }
  let tally = empty()
  let sequence = 0
  const running = new Set<Promise<void>>()

  async function send(dueAt: number): Promise<void> {
    const into = tally
    into.sent += 1
    // Never the first entry: that is the one which the broken model knows.
    const index = 1 + (sequence++ % (goodAnswers.length - 1))
    try {
      const { statusCode, body } = await request(`${url}/v2/models/${model}/infer`, {
        dispatcher,
        method: 'POST',
        headers,
        body: JSON.stringify({ inputs: [{ name: 'index', datatype: 'INT64', shape: [1], data: [index] }] }),
        headersTimeout: 30_000,
        bodyTimeout: 30_000,
      })
      const text = await body.text()
      if (statusCode !== 200) fail(into, `${statusCode}: ${text.slice(0, 120)}`)
      else if (answerOf(text) === goodAnswers[index]) into.answered += 1
      else into.wrong += 1
    } catch (error) {
      fail(into, error instanceof Error ? error.message : String(error))
    }
    into.latencies.push(performance.now() - dueAt)
  }

  const beganAt = performance.now()
  let due = 0
  const timer = setInterval(() => {
    const now = performance.now()
    for (; beganAt + (due * 1000) / requestsPerSecond <= now; due += 1) {
      const sending: Promise<void> = send(beganAt + (due * 1000) / requestsPerSecond).finally(() =>
        running.delete(sending),
      )
      running.add(sending)
    }
  }, 4)

  return {
    take() {
      const taken = tally
      tally = empty()
      return taken
    },
    async stop() {
      clearInterval(timer)
      await Promise.all(running)
      if (!dispatcher.closed) await dispatcher.close()
    },
  }
}

/** Adds up tallies whose requests have all ended. */
export function total(tallies: readonly Tally[]): Tally {
  const sum = empty()
  for (const each of tallies) {
    sum.sent += each.sent
    sum.answered += each.answered
    sum.failed += each.failed
    sum.wrong += each.wrong
    sum.latencies = sum.latencies.concat(each.latencies)
    for (const [problem, count] of each.problems) sum.problems.set(problem, (sum.problems.get(problem) ?? 0) + count)
  }
  return sum
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function empty(): Tally {
  return { sent: 0, answered: 0, failed: 0, wrong: 0, latencies: [], problems: new Map() }
}

function fail(tally: Tally, problem: string): void {
  tally.failed += 1
  tally.problems.set(problem, (tally.problems.get(problem) ?? 0) + 1)
}

function answerOf(text: string): unknown {
  const parsed = JSON.parse(text) as { outputs?: { data?: unknown[] }[] } // checked by the comparison with what is expected
  return parsed.outputs?.[0]?.data?.[0]
}
