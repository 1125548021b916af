import type { RefusalReason } from '../api/guest-work-reasons.ts'
import type { Refusal, Work } from '../api/remote-work.ts'
import type { SharePolicySpec } from '../api/share-policy.ts'
import { windowState } from '../sharepolicy/windows.ts'
import { invalidities } from './invalid-work.ts'
import { add, amountsOf, askedNames, quantity, times, workerAmounts } from './resources.ts'
import type { Usage } from './usage.ts'

/** A SharePolicy as a decision sees it. */
export type PolicyView = {
  readonly name: string
  readonly spec: SharePolicySpec
  /** Why it decides nothing, if so; `settling` while its controller has not looked at its newest version. */
  readonly problem?: { readonly reason: string; readonly message: string } | undefined
  readonly settling?: boolean
}

export type Question = {
  readonly work: Work
  readonly peerName: string
  /** In any order. */
  readonly policies: readonly PolicyView[]
  /** Usage of a policy by all others. */
  readonly usage: (policyName: string) => Usage
  /** Which of our own pods wait for what this work would take; undefined when none does. */
  readonly waitingPod: (policy: PolicyView) => string | undefined
  /** Why foreign work is frozen, if it is. */
  readonly frozen?: string | undefined
  readonly now: number
}

export type Price = { currency: string; microsPerGPUHour: number }

export type Decision =
  | { readonly decision: 'Granted'; readonly policyName: string; readonly leaseSeconds: number; readonly price?: Price }
  | { readonly decision: 'Refused'; readonly refusals: Refusal[] }
  /** No policy allows it now, but one is being looked at: ask again. */
  | { readonly decision: 'Pending' }

export type Reason = { reason: RefusalReason; message: string }

// What the schema of an answer takes.
const mostRefusals = 32
const messageCharacters = 1_024

/**
 * Decides on a request: the first policy, by name, that allows it grants it. Otherwise it is refused with every reason of every policy
 * that names the peer, those of the policy with the fewest first; a reason names policy and field, what was asked and what is allowed.
 */
export function decide(question: Question): Decision {
  const { work, peerName, policies, frozen } = question
  if (frozen !== undefined) return refused([{ reason: 'Frozen', message: frozen }])
  const wrong = invalidities(work)
  const named = policies
    .filter(({ spec }) => spec.peers.some(({ name }) => name === peerName))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  if (named.length === 0) {
    return refused([...wrong, { reason: 'NoSharePolicy', message: 'no SharePolicy names this peer in spec.peers' }])
  }
  const reasons = named.map((policy) => ({ policy, reasons: reasonsOf(policy, question) }))
  if (wrong.length === 0) {
    const granting = reasons.find((each) => each.reasons.length === 0 && each.policy.settling !== true)
    if (granting !== undefined) return granted(granting.policy, work)
    if (reasons.some((each) => each.reasons.length === 0)) return { decision: 'Pending' }
  }
  const closest = reasons.sort((a, b) => a.reasons.length - b.reasons.length)
  return refused([...wrong, ...closest.flatMap((each) => each.reasons)])
}

/** Why the policy does not allow the work; nothing: it does. For a lease that runs, `usage` is that of older leases. */
export function reasonsOf(policy: PolicyView, question: Omit<Question, 'policies' | 'frozen'>): Reason[] {
  const { name, spec, problem } = policy
  const { work, now } = question
  const reasons: Reason[] = []
  const no = (reason: RefusalReason, field: string, text: string) =>
    reasons.push({ reason, message: `SharePolicy ${name}, spec.${field}: ${text}` })

  if (spec.suspend) no('PolicySuspended', 'suspend', 'the policy is suspended')
  else if (problem !== undefined) {
    reasons.push({ reason: 'PolicyNotReady', message: `SharePolicy ${name} is not in force (${problem.reason})` })
  }
  if (!spec.workloads.includes(work.workload)) {
    no('WorkloadNotShared', 'workloads', `asked for ${work.workload}, allowed: ${spec.workloads.join(', ')}`)
  }
  if (!spec.dataClasses.includes(work.dataClass)) {
    no('DataClassNotAllowed', 'dataClasses', `asked for ${work.dataClass}, allowed: ${spec.dataClasses.join(', ')}`)
  }
  if (spec.purposes !== undefined && !spec.purposes.includes(work.purpose)) {
    no('PurposeNotAllowed', 'purposes', `asked for ${work.purpose}, allowed: ${list(spec.purposes)}`)
  }
  models(spec, work, no)
  price(spec, work, no)
  amounts(name, spec, question, no)
  if (problem?.reason !== 'TimeZoneUnknown') window(spec, now, no)
  if (spec.availability === 'IdleOnly') {
    const waiting = question.waitingPod(policy)
    // Names of our own pods are no business of a peer.
    if (waiting !== undefined) no('NotIdle', 'availability', 'pods of the owner wait for these resources')
  }
  return reasons
}

type No = (reason: RefusalReason, field: string, text: string) => void

function models(spec: SharePolicySpec, work: Work, no: No): void {
  if (spec.modelDigests === undefined) return
  const allowed = new Set(spec.modelDigests)
  const others = work.models.flatMap(({ files }) => files).filter(({ sha256 }) => !allowed.has(sha256))
  if (others.length === 0) return
  const digests = others.map(({ path, sha256 }) => `${path} (${sha256.slice(0, 12)})`)
  no('ModelNotAllowed', 'modelDigests', `asked for ${list(digests)}, which are not among the ${allowed.size} allowed`)
}

function price(spec: SharePolicySpec, work: Work, no: No): void {
  if (spec.price === undefined || spec.price.microsPerGPUHour === 0) return
  const { currency, microsPerGPUHour } = spec.price
  const asked = work.maxPrice
  if (asked === undefined) {
    no('PriceTooLow', 'price', `asked for free work, the price is ${microsPerGPUHour} micro-${currency} a GPU hour`)
  } else if (asked.currency !== currency) {
    no('CurrencyDiffers', 'price.currency', `asked to pay in ${asked.currency}, allowed: ${currency}`)
  } else if (asked.microsPerGPUHour < microsPerGPUHour) {
    const text = `asked to pay at most ${asked.microsPerGPUHour}, the price is ${microsPerGPUHour} micro-${currency}`
    no('PriceTooLow', 'price.microsPerGPUHour', text)
  }
}

function amounts(
  policyName: string,
  spec: SharePolicySpec,
  { work, usage }: Pick<Question, 'work' | 'usage'>,
  no: No,
): void {
  const quota = amountsOf(spec.quota)
  const missing = askedNames(work).filter((each) => !quota.has(each))
  if (missing.length > 0) {
    no('ResourceNotOffered', 'quota', `asked for ${list(missing)}, allowed: ${list([...quota.keys()])}`)
  }
  const used = usage(policyName)
  const asked = times(workerAmounts(work), work.replicas)
  const total = add(used.amounts, asked)
  for (const [name, most] of quota) {
    if ((total.get(name) ?? 0n) <= most) continue
    const already = quantity(used.amounts.get(name) ?? 0n)
    const text = `asked for ${quantity(asked.get(name) ?? 0n)} ${name} (${work.replicas} workers) beside ${already} in use, allowed: ${quantity(most)}`
    no('QuotaExceeded', 'quota', text)
  }
  if (used.leases >= spec.maxLeases) {
    no('TooManyLeases', 'maxLeases', `${used.leases} leases are granted, allowed: ${spec.maxLeases}`)
  }
}

function window(spec: SharePolicySpec, now: number, no: No): void {
  const state = windowState(spec.windows, now)
  if (state.open) return
  const opens = state.opens === undefined ? 'none opens soon' : `the next opens at ${time(state.opens)}`
  const windows = (spec.windows ?? []).map(({ name, timeZone, days, start, end }) => {
    const on = days === undefined ? '' : `${days.join(' ')} `
    return `${name} ${on}${start}-${end} ${timeZone}`
  })
  no('OutsideWindow', 'windows', `asked for now, allowed: ${list(windows)}; ${opens}`)
}

function granted({ name, spec }: PolicyView, work: Work): Decision {
  const leaseSeconds = Math.min(work.leaseSeconds, spec.maxLeaseSeconds)
  const { price } = spec
  return { decision: 'Granted', policyName: name, leaseSeconds, ...(price !== undefined && { price }) }
}

function refused(reasons: readonly Reason[]): Decision {
  const refusals = reasons
    .slice(0, mostRefusals)
    .map(({ reason, message }) => ({ reason, message: message.slice(0, messageCharacters) }))
  return { decision: 'Refused', refusals }
}

/** At most eight, so that a message stays readable. */
function list(items: readonly string[]): string {
  if (items.length === 0) return 'nothing'
  return items.length <= 8 ? items.join(', ') : `${items.slice(0, 8).join(', ')} and ${items.length - 8} more`
}

function time(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 19)}Z`
}
