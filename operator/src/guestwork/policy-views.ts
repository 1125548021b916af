import type { SharePolicy } from '../api/share-policy.ts'
import { conditionOf } from '../kube/conditions.ts'
import { type PolicyStores, policyFacts } from '../sharepolicy/controller.ts'
import { judge } from '../sharepolicy/judge.ts'
import type { PolicyView } from './decide.ts'

/** All SharePolicies as decisions see them: judged now, whatever their status says yet. */
export function policyViews(stores: PolicyStores, systemNamespace: string): PolicyView[] {
  const facts = policyFacts(stores, systemNamespace)
  return facts.policies.map((policy) => {
    const verdict = judge(policy, facts)
    const view = { name: policy.metadata.name, spec: policy.spec }
    if (verdict.reason !== 'InForce') return { ...view, problem: verdict }
    const said = readyOf(policy)
    if (said === undefined || (said.reason !== 'InForce' && said.reason !== 'QuotaRefused')) {
      // Its quota may not be there yet.
      return { ...view, settling: true }
    }
    return said.reason === 'QuotaRefused' ? { ...view, problem: said } : view
  })
}

/** The condition Ready, if it is about the newest version of the policy. */
function readyOf({ metadata, status }: SharePolicy): { reason: string; message: string } | undefined {
  return status?.observedGeneration === metadata.generation ? conditionOf(status?.conditions, 'Ready') : undefined
}
