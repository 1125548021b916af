/**
 * What came of one bad input. `refused` is the wanted outcome: the part under test said no, in words, and went on. `status` is
 * the HTTP status where there is one, `reason` the constant (condition reason, error code) where there is one.
 */
export type Observed =
  | { outcome: 'refused'; status?: number; reason?: string; message: string }
  | { outcome: 'accepted'; detail: string }
  | { outcome: 'crashed'; detail: string }

/** The documented refusal: what is given must match; `message` is a piece of the observed message. */
export type Refusal = { status?: number; reason?: string; message?: string | RegExp }

/** One bad input. `run` gives it to the part under test and says what came of it; it throws only when the test itself broke. */
export type BadInputCase<Context = undefined> = {
  readonly name: string
  readonly expected: Refusal
  run(context: Context, signal: AbortSignal): Promise<Observed>
}

/** A started part under test. `alive` is called after every case: undefined, or what the case has broken. */
export type Started<Context> = {
  readonly context: Context
  alive(signal: AbortSignal): Promise<string | undefined>
  stop(): Promise<void>
}

/** The cases of one kind of input. Each `cases.ts` or `*-cases.ts` below `test/bad-input/<kind>/` exports one as `suite`. */
export type BadInputSuite<Context = undefined> = {
  readonly name: string
  readonly cases: readonly BadInputCase<Context>[]
  start(signal: AbortSignal): Promise<Started<Context>>
}

/** A `Started` for parts that run in this process: nothing to start, nothing to stop; a crash is a crash of the test. */
export function inProcess(): Promise<Started<undefined>> {
  return Promise.resolve({ context: undefined, alive: async () => undefined, stop: async () => undefined })
}
