import type { Condition } from '../api/resource.ts'

/** What a controller says; the time is not its business. */
export type NewCondition = Omit<Condition, 'lastTransitionTime'>

/**
 * Sets one condition and returns the list, or the very same list when nothing changed, so that an unchanged status costs no
 * write. `lastTransitionTime` moves only with `status` (Kubernetes API conventions).
 */
export function setCondition(conditions: Condition[] | undefined, condition: NewCondition, now: Date): Condition[] {
  const before = conditions?.find(({ type }) => type === condition.type)
  if (conditions !== undefined && before !== undefined && same(before, condition)) return conditions
  const after: Condition = {
    ...condition,
    // Kubernetes keeps whole seconds; a fraction would read back as a change.
    lastTransitionTime:
      before?.status === condition.status ? before.lastTransitionTime : `${now.toISOString().slice(0, 19)}Z`,
  }
  if (before === undefined) return [...(conditions ?? []), after]
  return (conditions ?? []).map((each) => (each.type === condition.type ? after : each))
}

/** Sets several conditions, as `setCondition` does for one. */
export function setConditions(
  conditions: Condition[] | undefined,
  changes: readonly NewCondition[],
  now: Date,
): Condition[] {
  return changes.reduce<Condition[]>((list, change) => setCondition(list, change, now), conditions ?? [])
}

/** The condition of that type, if there is one. */
export function conditionOf<C extends { type: string }>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/** Whether the condition is there and True. */
export function isTrue(conditions: readonly { type: string; status: string }[] | undefined, type: string): boolean {
  return conditionOf(conditions, type)?.status === 'True'
}

function same(before: Condition, after: NewCondition): boolean {
  return (
    before.status === after.status &&
    before.reason === after.reason &&
    before.message === after.message &&
    before.observedGeneration === after.observedGeneration
  )
}
