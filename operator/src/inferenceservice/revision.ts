import { createHash } from 'node:crypto'
import type { PodTemplate } from '../kube/pod-types.ts'

/** Eight hex digits that name a pod template: the same template has the same revision on every operator. */
export function revisionOf(template: PodTemplate): string {
  return createHash('sha256').update(canonical(template)).digest('hex').slice(0, 8)
}

/** JSON with sorted keys, so that the order in which a user wrote them makes no new revision. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value)
}
