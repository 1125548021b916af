/** The highest checkpoint of our log that a witness saw. */
export type WitnessedHead = { witness: string; size: number; root: string }

export type RestoreProblem = {
  /** Behind: entries are missing that others have seen. Forked: our log says something else than what we had them sign. */
  reason: 'Behind' | 'Forked'
  /** The highest size that was seen. */
  size: number
  message: string
}

/**
 * Why a ledger must not go on: it was restored from a backup, and a log that others have seen would be continued in another way, which nobody
 * could tell from fraud. `rootAt` gives the root that our log had at a size that it reached.
 */
export async function restoreProblem(
  local: { size: number; rootAt(size: number): Promise<string> },
  witnessed: readonly WitnessedHead[],
): Promise<RestoreProblem | undefined> {
  const heads = [...witnessed].sort((a, b) => b.size - a.size)
  for (const { witness, size, root } of heads) {
    if (size <= local.size && (await local.rootAt(size)) !== root) {
      const message = `${witness} has seen another log of ${size} entries under our signature; restore a newer backup, or find out who signed it`
      return { reason: 'Forked', size, message }
    }
  }
  const [highest] = heads
  if (highest === undefined || highest.size <= local.size) return undefined
  const message = `our log has ${local.size} entries, and ${highest.witness} has seen ${highest.size}; restore a newer backup`
  return { reason: 'Behind', size: highest.size, message }
}
