import { totalmem } from 'node:os'

/** What this container may use (the cgroup's limit, or the machine's memory) and what this process uses, in bytes. */
export function memoryOfContainer(): { limitBytes: number; workerBytes: number } {
  const constrained = process.constrainedMemory()
  const all = totalmem()
  // Without a limit cgroups say 0 or a number beyond all memory.
  const limitBytes = constrained > 0 && constrained < all ? constrained : all
  return { limitBytes, workerBytes: process.memoryUsage.rss() }
}
