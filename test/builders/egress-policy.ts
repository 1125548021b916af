import { type EgressPolicy, type EgressPolicySpec, egressPolicySpecSchema } from '@hansa/operator/api/egress-policy.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import { metadata } from './object.ts'

/** An EgressPolicy as the API server would return it: Internal data may go to the peer `university`, if it is free. */
export function egressPolicy(name: string, spec: Partial<EgressPolicySpec> = {}): EgressPolicy {
  const { namespace: _, ...rest } = metadata('EgressPolicy', name)
  return {
    apiVersion,
    kind: 'EgressPolicy',
    metadata: rest,
    spec: egressPolicySpecSchema.parse({ dataClasses: ['Internal'], peers: [{ name: 'university' }], ...spec }),
  }
}
