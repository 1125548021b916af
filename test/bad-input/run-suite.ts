import { messageOf } from '@hansa/operator/process/errors.ts'
import type { BadInputSuite, Observed, Refusal } from './case.ts'

/** What one suite came to; `failures` says per failed case what was expected and what happened. */
export type SuiteResult = {
  readonly name: string
  readonly cases: number
  readonly refused: number
  readonly letThrough: number
  readonly crashed: number
  readonly failures: readonly string[]
}

/** Why an observation is not the documented refusal; undefined when it is. */
export function mismatch(expected: Refusal, observed: Observed): string | undefined {
  if (observed.outcome === 'accepted') return `let through: ${observed.detail}`
  if (observed.outcome === 'crashed') return `crashed: ${observed.detail}`
  if (expected.status !== undefined && observed.status !== expected.status) {
    return `status ${observed.status ?? 'none'} instead of ${expected.status}: ${observed.message}`
  }
  if (expected.reason !== undefined && observed.reason !== expected.reason) {
    return `reason ${observed.reason ?? 'none'} instead of ${expected.reason}: ${observed.message}`
  }
  if (typeof expected.message === 'string' && !observed.message.includes(expected.message)) {
    return `message without ${JSON.stringify(expected.message)}: ${observed.message}`
  }
  if (expected.message instanceof RegExp && !expected.message.test(observed.message)) {
    return `message does not match ${expected.message}: ${observed.message}`
  }
  return undefined
}

/** Runs every case of a suite in order, each within `caseSeconds`, and checks after each that the part under test still lives. */
export async function runSuite<Context>(
  suite: BadInputSuite<Context>,
  report: (line: string) => void,
  options: { signal?: AbortSignal; startSeconds?: number; caseSeconds?: number } = {},
): Promise<SuiteResult> {
  const within = (seconds: number) => {
    const deadline = AbortSignal.timeout(seconds * 1000)
    return options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
  }
  const failures: string[] = []
  let refused = 0
  let letThrough = 0
  let crashed = 0
  const started = await suite.start(within(options.startSeconds ?? 1200))
  try {
    for (const badInput of suite.cases) {
      options.signal?.throwIfAborted()
      const signal = within(options.caseSeconds ?? 30)
      let observed: Observed
      try {
        observed = await Promise.race([badInput.run(started.context, signal), rejection(signal)])
      } catch (error) {
        observed = { outcome: 'crashed', detail: `the case threw: ${messageOf(error)}` }
      }
      const broken = await started.alive(within(30))
      if (broken !== undefined) observed = { outcome: 'crashed', detail: broken }
      const wrong = mismatch(badInput.expected, observed)
      if (observed.outcome === 'refused') refused += 1
      if (observed.outcome === 'accepted') letThrough += 1
      if (observed.outcome === 'crashed') crashed += 1
      if (wrong !== undefined) {
        failures.push(`${suite.name}: ${badInput.name}: ${wrong}`)
        report(`  not as documented: ${badInput.name}: ${wrong}`)
      }
    }
  } finally {
    await started.stop()
  }
  report(
    `${suite.name}: ${suite.cases.length} cases, ${suite.cases.length - failures.length} refused as documented, ${letThrough} let through, ${crashed} crashed`,
  )
  return { name: suite.name, cases: suite.cases.length, refused, letThrough, crashed, failures }
}

/** Rejects when the signal is aborted, so that a case that ignores its signal cannot hold up the others. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
