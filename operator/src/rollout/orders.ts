import type { InferenceService } from '../api/inference-service.ts'

export const orderKinds = ['promote', 'abort', 'retry'] as const
export type OrderKind = (typeof orderKinds)[number]

/** The annotation of an order; its value is `<revision>`, or `<revision>@<anything>` to give the same order anew. */
export const orderAnnotation = (kind: OrderKind) => `hansa.dev/rollout-${kind}`

const longest = 128

/** The orders about a revision as `kind=value`, to be compared with those that were carried out (`status.rollout.orders`). */
export function ordersFor(service: InferenceService, revision: string): string[] {
  return orderKinds.flatMap((kind) => {
    const value = service.metadata.annotations?.[orderAnnotation(kind)]?.slice(0, longest)
    return value === revision || value?.startsWith(`${revision}@`) ? [`${kind}=${value}`] : []
  })
}

/** Whether there is an order of that kind that was not seen when the rollout began or ended last. */
export function isOrdered(kind: OrderKind, orders: readonly string[], seen: readonly string[]): boolean {
  return orders.some((order) => order.startsWith(`${kind}=`) && !seen.includes(order))
}
