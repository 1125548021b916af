import { setPriority } from 'node:os'
import { answerCalls } from '../../tools/process-calls.ts'
import { createAttacker, type Delivery, type Target } from './attacker.ts'
import { storm } from './storm.ts'

const attacker = await createAttacker('trudy')
const made = new Map<number, { requests: Delivery[]; used: number }>()

answerCalls({
  start: () => attacker.peer,
  prepare: async ({ target, count }: { target: Target; count: number }) => {
    const requests = await Promise.all(Array.from({ length: count }, () => attacker.request(target.peer)))
    made.set(target.port, { requests, used: 0 })
  },
  storm: ({ target, seconds }: { target: Target; seconds: number }) => {
    // A hostile peer has a machine of its own; here it takes only what link and honest peer leave of this one.
    setPriority(10)
    const stock = made.get(target.port)
    const next = () => stock?.requests[stock.used++ % stock.requests.length]
    return storm(attacker, target, next, seconds)
  },
})
