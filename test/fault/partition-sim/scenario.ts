import fc from 'fast-check'

const executors = ['X1', 'X2'] as const
const all = ['R', ...executors] as const

const secondsOf = (least: number, most: number) => fc.integer({ min: least * 10, max: most * 10 }).map((n) => n / 10)

/** Something that goes wrong, `at` a share of the time in which things do. */
const happening = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('Partition' as const),
      peer: fc.constantFrom(...executors),
      direction: fc.constantFrom('Both', 'ToPeer', 'FromPeer'),
      seconds: secondsOf(0.2, 90),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('CrashOperator' as const),
      owner: fc.constantFrom(...all),
      seconds: secondsOf(0.1, 40),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('FaultAtWrite' as const),
      owner: fc.constantFrom(...all),
      fault: fc.constantFrom('CrashBefore', 'CrashAfter', 'LoseReply'),
      seconds: secondsOf(0.1, 40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('CrashLink' as const),
      owner: fc.constantFrom(...all),
      seconds: secondsOf(0.1, 40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('Pause' as const),
      owner: fc.constantFrom(...all),
      seconds: secondsOf(0.5, 40),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('WallJump' as const),
      owner: fc.constantFrom(...all),
      seconds: fc.integer({ min: -120, max: 120 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('Restore' as const),
      owner: fc.constantFrom(...all),
      backSeconds: secondsOf(0.2, 120),
      seconds: secondsOf(0.1, 20),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('Veto' as const), peer: fc.constantFrom(...executors) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('Refuse' as const),
      peer: fc.constantFrom(...executors),
      seconds: secondsOf(1, 60),
    }),
  },
)

const rate = fc.oneof(fc.constantFrom(-4_900, 4_900), fc.integer({ min: -4_900, max: 4_900 }))

const fault = fc.record({ at: fc.integer({ min: 0, max: 1_000 }), happening })

/** All that decides a run. */
export const scenario = fc.record({
  seed: fc.integer(),
  workload: fc.constantFrom('Serve', 'Train'),
  leaseSeconds: fc.constantFrom(12, 30, 60),
  drift: fc.record({ R: rate, X1: rate, X2: rate }),
  network: fc.record({
    delayMs: fc.constantFrom(5, 40, 300),
    lossPermille: fc.constantFrom(0, 20, 200),
    duplicatePermille: fc.constantFrom(0, 50),
    slowPermille: fc.constantFrom(0, 50),
  }),
  faults: fc.oneof(
    { weight: 1, arbitrary: fc.array(fault, { maxLength: 2 }) },
    { weight: 2, arbitrary: fc.array(fault, { maxLength: 14, size: 'max' }) },
  ),
  end: fc.constantFrom('Keep', 'Delete', 'DeleteWhileCut'),
})

export type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never
export type Happening = Scenario['faults'][number]['happening']
