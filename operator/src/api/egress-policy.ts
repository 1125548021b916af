import { z } from 'zod'
import { currency, dataClass, micros, peerName, workload } from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap } from './rule.ts'
import { boundedRecord, dnsLabel, labelValue } from './scalar.ts'

export const egressPolicySpecSchema = z.object({
  dataClasses: z
    .array(dataClass)
    .min(1)
    .max(4)
    .meta({ description: 'Data classes of namespaces that may use the peers.', 'x-kubernetes-list-type': 'set' }),
  namespaces: z.array(dnsLabel).max(256).optional().meta({
    description: 'Namespaces that may; with namespaceSelector both count. Neither: all of those classes.',
    'x-kubernetes-list-type': 'set',
  }),
  namespaceSelector: boundedRecord(labelValue, 16)
    .optional()
    .meta({ description: 'Labels that a namespace must have.' }),
  workloads: z
    .array(workload)
    .min(1)
    .max(2)
    .default(['Serve'])
    .meta({ description: 'What may be asked for.', 'x-kubernetes-list-type': 'set' }),
  peers: z
    .array(z.object({ name: peerName.meta({ description: 'Name of a Peer.' }) }))
    .min(1)
    .max(64)
    .meta({ description: 'Who may be asked.', ...listMap('name') }),
  spendLimit: z
    .object({
      currency: currency.meta({ description: 'Currency.' }),
      microsPerDay: micros.meta({
        format: 'int64',
        description: 'Most that leases under this policy may cost in 24 hours, in millionths of the currency.',
      }),
    })
    .optional()
    .meta({ description: 'Without it only what is free may be used.' }),
  suspend: z.boolean().default(false).meta({ description: 'true allows nothing, and ends what it allowed.' }),
})

export const egressPolicyStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Ready`: it is in force.', ...listMap('type') }),
})

export type EgressPolicySpec = z.infer<typeof egressPolicySpecSchema>
export type EgressPolicyStatus = z.infer<typeof egressPolicyStatusSchema>
export type EgressPolicy = CustomResource<EgressPolicySpec, EgressPolicyStatus>
