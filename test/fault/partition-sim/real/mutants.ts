import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'
import type { RoundFault } from './faults.ts'
import type { OperatorChange } from './operator.ts'

/** An executor that breaks a rule, the fault that brings it to light, and the check that must see it. */
export type Mutant = {
  readonly name: string
  readonly fault: RoundFault
  readonly check: string
  readonly change: () => OperatorChange
}

const slowness = 3

/** Counts the time of a lease three times too slowly. */
function slowClock(): Clock {
  const began = systemClock.monotonic()
  return { ...systemClock, monotonic: () => began + (systemClock.monotonic() - began) / slowness }
}

export const mutants: readonly Mutant[] = [
  {
    name: 'the executor asks every start the same question, so that a restored state is not confirmed anew',
    fault: 'etcd of the executor restored',
    check: 'epoch given twice',
    change: () => ({ asks: Buffer.alloc(32, 7).toString('base64url') }),
  },
  {
    name: "the executor's clock runs three times too slowly, so that leases last longer than was signed",
    fault: 'none',
    check: 'runs too long',
    change: () => ({ clock: slowClock() }),
  },
]
