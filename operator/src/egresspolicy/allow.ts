import type { EgressPolicy } from '../api/egress-policy.ts'
import type { EgressDenialReason } from '../api/egress-policy-reasons.ts'
import type { DataClass } from '../api/owner-scalars.ts'
import type { Work } from '../api/remote-work.ts'
import { worstMicrosPerDay } from './cost.ts'
import { classOfNamespace, isBelow } from './data-class.ts'

export type EgressAsk = {
  namespace: { name: string; labels?: Readonly<Record<string, string>> }
  peer: string
  work: Pick<Work, 'workload' | 'dataClass' | 'replicas' | 'resources' | 'maxPrice'>
}

/** What other work of that policy may cost in 24 hours at most, in millionths of the currency. */
export type Spent = (policy: string, currency: string) => number

export type Denial = { reason: EgressDenialReason; message: string }

export type Egress =
  | { allowed: true; policy: string }
  | {
      allowed: false
      /** SpendLimit: a policy would allow it but for the money. */
      reason: 'EgressDenied' | 'SpendLimit'
      denials: Denial[]
    }

const maxDenials = 32

/**
 * Whether one of the policies lets the namespace ask the peer for the work; else everything that stands against it. Policies add
 * up: each allows something, none forbids, and without any nothing is allowed. `keep` is the policy that allowed the work before.
 */
export function allow(ask: EgressAsk, policies: readonly EgressPolicy[], spent: Spent, keep?: string): Egress {
  const ofNamespace = classOfNamespace(ask.namespace.labels)
  if (isBelow(ask.work.dataClass, ofNamespace)) {
    const message = `the request says ${ask.work.dataClass}, but namespace ${ask.namespace.name} holds ${ofNamespace} data`
    return { allowed: false, reason: 'EgressDenied', denials: [{ reason: 'DataClassBelowNamespace', message }] }
  }
  const about = policies
    .filter(({ spec }) => spec.peers.some(({ name }) => name === ask.peer))
    .toSorted((one, other) => rank(one, keep) - rank(other, keep) || compare(one.metadata.name, other.metadata.name))
  if (about.length === 0) {
    const message = `no EgressPolicy names peer ${ask.peer}; by default nothing leaves the cluster`
    return { allowed: false, reason: 'EgressDenied', denials: [{ reason: 'NoEgressPolicy', message }] }
  }
  const denials: Denial[] = []
  let isMoney = false
  for (const policy of about) {
    const found = against(ask, policy, spent)
    if (found.length === 0) return { allowed: true, policy: policy.metadata.name }
    if (found.every(({ reason }) => reason === 'SpendLimit')) isMoney = true
    denials.push(...found.map((each) => ({ ...each, message: `${policy.metadata.name}: ${each.message}` })))
  }
  return { allowed: false, reason: isMoney ? 'SpendLimit' : 'EgressDenied', denials: denials.slice(0, maxDenials) }
}

function rank(policy: EgressPolicy, keep: string | undefined): number {
  return policy.metadata.name === keep ? 0 : 1
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** All that one policy has against the request. */
function against({ namespace, work }: EgressAsk, policy: EgressPolicy, spent: Spent): Denial[] {
  const { spec } = policy
  const labels = namespace.labels ?? {}
  const denials: Denial[] = []
  const deny = (reason: EgressDenialReason, message: string) => denials.push({ reason, message })
  if (spec.suspend) deny('PolicySuspended', 'it is suspended')
  if (!spec.dataClasses.includes(work.dataClass)) {
    deny('DataClassNotListed', `it allows ${list(spec.dataClasses)} data, not ${work.dataClass}`)
  }
  if (spec.namespaces !== undefined && !spec.namespaces.includes(namespace.name)) {
    deny('NamespaceNotListed', `it does not list namespace ${namespace.name}`)
  }
  const missing = Object.entries(spec.namespaceSelector ?? {}).filter(([key, value]) => labels[key] !== value)
  if (missing.length > 0) {
    const wanted = missing.map(([key, value]) => `${key}=${value}`).join(', ')
    deny('NamespaceLabelsDiffer', `namespace ${namespace.name} lacks the label ${wanted}`)
  }
  if (!spec.workloads.includes(work.workload)) {
    deny('WorkloadNotListed', `it allows ${list(spec.workloads)}, not ${work.workload}`)
  }
  denials.push(...moneyAgainst(work, policy, spent))
  return denials
}

function moneyAgainst(work: EgressAsk['work'], { metadata, spec }: EgressPolicy, spent: Spent): Denial[] {
  const cost = worstMicrosPerDay(work)
  if (cost === 0 || work.maxPrice === undefined) return []
  const { spendLimit } = spec
  if (spendLimit === undefined) {
    return [{ reason: 'NotFree', message: 'it has no spendLimit, so it allows only what is free' }]
  }
  if (spendLimit.currency !== work.maxPrice.currency) {
    const message = `it counts in ${spendLimit.currency}, the highest price of the request is in ${work.maxPrice.currency}`
    return [{ reason: 'CurrencyDiffers', message }]
  }
  const others = spent(metadata.name, spendLimit.currency)
  if (others + cost <= spendLimit.microsPerDay) return []
  const message = `its limit is ${spendLimit.microsPerDay} millionths of ${spendLimit.currency} a day; the request may cost ${cost}, and ${others} are taken`
  return [{ reason: 'SpendLimit', message }]
}

function list(words: readonly string[] | readonly DataClass[]): string {
  return words.join(', ')
}
