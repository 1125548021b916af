/** Remembers for a while how much room there was, so that workers come home only to room that lasts. */
export type SteadyRoom = {
  /** The least room of the last `homeSeconds`; 0 before so long is known. */
  least(key: string, room: number, now: number): number
  forget(key: string): void
}

export const homeSeconds = 120
/** Room that changes more often than this within the time is no steady room. */
const mostChanges = 256

export function createSteadyRoom(): SteadyRoom {
  const seen = new Map<string, { room: number; since: number }[]>()
  return {
    least(key, room, now) {
      const from = now - homeSeconds * 1000
      const list = seen.get(key) ?? []
      const all = list.at(-1)?.room === room ? list : [...list, { room, since: now }]
      // The newest of those that began before the window still held in it; older ones did not.
      const begin = Math.max(
        0,
        all.findLastIndex(({ since }) => since <= from),
      )
      const held = all.slice(begin).slice(-mostChanges)
      seen.set(key, held)
      if ((held[0]?.since ?? now) > from) return 0
      return Math.min(...held.map((each) => each.room))
    },
    forget: (key) => {
      seen.delete(key)
    },
  }
}
