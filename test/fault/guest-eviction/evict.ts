import { setTimeout as sleep } from 'node:timers/promises'
import { type Guest, guestNamespace, type Lender } from './lender.ts'

/** What became of one claim, in milliseconds of `performance.now`. */
export type Eviction = {
  claimed: number
  /** When the pod of our own was seen to run. */
  runs: number
  /** The guest that had to go. */
  victim: Guest
  /** When it was seen to be asked to go, and to be gone. */
  left: number
  gone: number
  others: Guest[]
}

const pollMilliseconds = 50
const longestMilliseconds = 120_000

/** Claims a GPU of a node that is full of `guests`, and follows what happens until a guest is gone and the pod of our own runs. */
export async function evict(lender: Lender, guests: readonly Guest[], name: string): Promise<Eviction> {
  const claimed = performance.now()
  await lender.claim(name)
  let runs: number | undefined
  let victim: Guest | undefined
  let left: number | undefined
  let gone: number | undefined
  while (runs === undefined || gone === undefined) {
    const looked = performance.now()
    if (looked - claimed > longestMilliseconds) {
      const own = await lender.pod('default', name)
      throw new Error(`${name} runs: ${runs !== undefined}; a guest is gone: ${gone}; ${JSON.stringify(own?.status)}`)
    }
    if (runs === undefined) {
      const own = await lender.pod('default', name)
      if (own?.status?.containerStatuses?.[0]?.state?.running !== undefined) runs = performance.now()
    }
    for (const guest of victim === undefined ? guests : [victim]) {
      const now = await lender.pod(guestNamespace, guest.pod.metadata.name)
      if (now !== undefined && now.metadata.deletionTimestamp === undefined) continue
      victim = guest
      left ??= looked
      if (now === undefined) gone ??= performance.now()
      break
    }
    await sleep(pollMilliseconds)
  }
  if (victim === undefined || left === undefined) throw new Error('no guest was seen to go')
  return { claimed, runs, victim, left, gone, others: guests.filter((guest) => guest !== victim) }
}
