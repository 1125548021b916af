/** A request that waits, as far as its order matters. */
export type Queued = {
  /** Rises with every request. */
  readonly order: number
  readonly enqueuedAt: number
  /** Requests with the same key may run together; undefined runs alone. */
  readonly key: string | undefined
  readonly rows: number
  readonly inputBytes: number
}

export type BatchLimits = {
  readonly maxRows: number
  readonly maxDelayMilliseconds: number
  readonly maxInputBytes: number
  /** Rows whose outputs surely fit an answer, as far as this key's outputs are known. */
  rowsThatFit(key: string): number
}

export type Next<T> =
  | { readonly kind: 'run'; readonly members: readonly T[] }
  | { kind: 'wait'; readonly until: number }

/**
 * Requests in groups that may run together. Whose first member came first runs first, so that no rare shape starves; while
 * that one waits for company, the next group may run.
 */
export class BatchQueue<T extends Queued> {
  readonly #groups = new Map<string | undefined, Set<T>>()
  /** Members of a failed batch, which run one by one before all others. */
  readonly #again = new Set<T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(item: T): void {
    const group = this.#groups.get(item.key)
    if (group === undefined) this.#groups.set(item.key, new Set([item]))
    else group.add(item)
    this.#size++
  }

  addAgain(item: T): void {
    this.#again.add(item)
    this.#size++
  }

  delete(item: T): void {
    const group = this.#groups.get(item.key)
    if (group?.delete(item)) {
      this.#size--
      if (group.size === 0) this.#groups.delete(item.key)
    } else if (this.#again.delete(item)) this.#size--
  }

  /**
   * What an idle session should do; undefined: nothing waits. `idle` sessions share the members of a group. `limits` undefined:
   * everything runs alone. The members are left in the queue.
   */
  next(now: number, idle: number, limits: BatchLimits | undefined, expectsMore: boolean): Next<T> | undefined {
    const [again] = this.#again
    if (again !== undefined) return { kind: 'run', members: [again] }
    let best: T[] | undefined
    let until = Number.POSITIVE_INFINITY
    for (const [key, group] of this.#groups) {
      const [first] = group
      if (first === undefined || (best?.[0] !== undefined && best[0].order < first.order)) continue
      if (key === undefined || limits === undefined) {
        best = [first]
        continue
      }
      const { members, isFull } = gather(group, key, limits)
      const dueAt = first.enqueuedAt + limits.maxDelayMilliseconds
      if (isFull || !expectsMore || now >= dueAt) {
        best = isFull ? members : members.slice(0, Math.ceil(members.length / idle))
      } else until = Math.min(until, dueAt)
    }
    if (best !== undefined) return { kind: 'run', members: best }
    return until === Number.POSITIVE_INFINITY ? undefined : { kind: 'wait', until }
  }
}

/** The first members that fit one run; at least the first, however large it is. */
function gather<T extends Queued>(group: Set<T>, key: string, limits: BatchLimits): { members: T[]; isFull: boolean } {
  const maxRows = Math.min(limits.maxRows, limits.rowsThatFit(key))
  const members: T[] = []
  let rows = 0
  let bytes = 0
  for (const item of group) {
    rows += item.rows
    bytes += item.inputBytes
    if (members.length > 0 && (rows > maxRows || bytes > limits.maxInputBytes)) return { members, isFull: true }
    members.push(item)
    if (rows >= maxRows) return { members, isFull: true }
  }
  return { members, isFull: false }
}
