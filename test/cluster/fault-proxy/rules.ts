import { canHappenTo, type Fault } from './fault.ts'
import type { RequestFacts } from './request-facts.ts'

export interface RuleOptions {
  /** Default: every request that the fault can happen to. */
  readonly when?: (facts: RequestFacts) => boolean
  /** How many requests it happens to; default: until removed. */
  readonly times?: number
}

/** A fault that waits for its requests. */
export interface Rule {
  readonly fault: Fault
  /** The requests that it has happened to. */
  readonly hits: readonly RequestFacts[]
  remove(): void
}

/** The rules of a proxy; of several that match, the one injected first applies. */
export interface RuleSet {
  inject(fault: Fault, options?: RuleOptions): Rule
  /** The rule for this request, which counts as one of its times. */
  take(facts: RequestFacts): Rule | undefined
  clear(): void
}

export function createRules(): RuleSet {
  const rules = new Map<Rule, (facts: RequestFacts) => boolean>()
  return {
    inject(fault, { when = () => true, times = Number.POSITIVE_INFINITY } = {}) {
      const hits: RequestFacts[] = []
      const rule: Rule = { fault, hits, remove: () => void rules.delete(rule) }
      rules.set(rule, (facts) => {
        if (hits.length >= times || !canHappenTo(fault, facts) || !when(facts)) return false
        hits.push(facts)
        return true
      })
      return rule
    },
    take(facts) {
      for (const [rule, claim] of rules) if (claim(facts)) return rule
      return undefined
    },
    clear: () => rules.clear(),
  }
}
