import type { Work } from '../api/remote-work.ts'
import { parseQuantity } from '../kube/quantity.ts'

/** Amounts by resource name, in billionths. */
export type Amounts = ReadonlyMap<string, bigint>

const one = 1_000_000_000n

// What a worker gets where the request names none: guests are never without a limit.
const fallback: Amounts = new Map([
  ['cpu', one],
  ['memory', 2n * 2n ** 30n * one],
])
// The init container that fetches the model needs that much, and Kubernetes counts the larger of the two.
const least: Amounts = new Map([
  ['cpu', one / 20n],
  ['memory', 128n * 2n ** 20n * one],
])

/** What one guest worker reserves, and may use at most: the larger of requests and limits for each resource. */
export function workerAmounts({ resources }: Pick<Work, 'resources'>): Map<string, bigint> {
  const amounts = new Map(fallback)
  const asked = maximum(amountsOf(resources.requests), amountsOf(resources.limits))
  for (const [name, amount] of asked) {
    const floor = least.get(name) ?? 0n
    amounts.set(name, amount < floor ? floor : amount)
  }
  return amounts
}

/** The names that the request itself uses. */
export function askedNames({ resources }: Pick<Work, 'resources'>): string[] {
  return [...new Set([...Object.keys(resources.requests ?? {}), ...Object.keys(resources.limits ?? {})])].sort()
}

/** Quantities as amounts; what is no quantity is left out. */
export function amountsOf(quantities: Readonly<Record<string, string>> | undefined): Map<string, bigint> {
  const amounts = new Map<string, bigint>()
  for (const [name, quantity] of Object.entries(quantities ?? {})) {
    const amount = parseQuantity(quantity)
    if (amount !== undefined) amounts.set(name, amount)
  }
  return amounts
}

export function add(a: Amounts, b: Amounts): Map<string, bigint> {
  const sum = new Map(a)
  for (const [name, amount] of b) sum.set(name, (sum.get(name) ?? 0n) + amount)
  return sum
}

export function times(amounts: Amounts, factor: number): Map<string, bigint> {
  return new Map([...amounts].map(([name, amount]) => [name, amount * BigInt(factor)]))
}

/** The larger of both for each resource. */
export function maximum(a: Amounts, b: Amounts): Map<string, bigint> {
  const most = new Map(a)
  for (const [name, amount] of b) if (amount > (most.get(name) ?? 0n)) most.set(name, amount)
  return most
}

/** Kubernetes quantities that mean these amounts. */
export function quantitiesOf(amounts: Amounts): Record<string, string> {
  return Object.fromEntries(
    [...amounts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, amount]) => [name, quantity(amount)]),
  )
}

/** One amount as a quantity: whole units, with a binary suffix where it fits, else thousandths (rounded up). */
export function quantity(amount: bigint): string {
  if (amount % one !== 0n) return `${(amount + 999_999n) / 1_000_000n}m`
  const units = amount / one
  for (const [suffix, size] of [
    ['Gi', 2n ** 30n],
    ['Mi', 2n ** 20n],
    ['Ki', 2n ** 10n],
  ] as const) {
    if (units !== 0n && units % size === 0n) return `${units / size}${suffix}`
  }
  return String(units)
}

/** GPUs among the amounts, MIG slices too. */
export function gpusOf(amounts: Amounts): number {
  let gpus = 0
  for (const [name, amount] of amounts) if (isGpu(name)) gpus += Number(amount / one)
  return gpus
}

export function isGpu(name: string): boolean {
  return name === 'nvidia.com/gpu' || name.startsWith('nvidia.com/mig-') || name === 'amd.com/gpu'
}
