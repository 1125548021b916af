import { z } from 'zod'
import { currency, micros, peerName, purpose } from './owner-scalars.ts'
import { listMap, rules } from './rule.ts'

/** What can be concentrated at one owner or spread over many; the two that do not serve come with training and governance. */
export const layers = ['Compute', 'Weights', 'Control', 'Ledger'] as const
export type Layer = (typeof layers)[number]

/** How owners are ranked; what is not allowed is left out before. */
export const strategies = ['OwnFirst', 'Cheapest', 'Fastest', 'MostResilient'] as const
export type Strategy = (typeof strategies)[number]

/** Name of this cluster among owners, in candidates and answers. */
export const ownName = 'own'

const permille = z.int().min(1).max(1000)
const owners = z.int().min(1).max(32)

const peerSchema = z
  .object({
    name: peerName.meta({ description: 'Name of a Peer.' }),
    replicas: z.int().min(0).max(1000).optional().meta({
      format: 'int32',
      description: 'Fixed count of workers that the peer is asked to run, beside all others.',
    }),
    maxReplicas: z.int().min(1).max(1000).optional().meta({
      format: 'int32',
      description: 'Most workers that the peer is asked to run; the strategy says how many.',
    }),
  })
  .meta(
    rules({
      rule: 'has(self.replicas) != has(self.maxReplicas)',
      message:
        'a peer must have either replicas, a fixed count, or maxReplicas, the most that the strategy may ask for',
    }),
  )

const requirementSchema = z
  .object({
    layer: z.enum(layers).meta({ description: 'Layer that is required to be spread.' }),
    minOwners: owners.optional().meta({ format: 'int32', description: 'Fewest owners that have a part of it.' }),
    minOwnersToStop: owners.optional().meta({
      format: 'int32',
      description: 'Fewest owners that together can stop it (Nakamoto coefficient).',
    }),
    maxSharePermille: permille.optional().meta({ format: 'int32', description: 'Largest share of one owner.' }),
  })
  .meta(
    rules({
      rule: 'has(self.minOwners) || has(self.minOwnersToStop) || has(self.maxSharePermille)',
      message: 'a requirement must have minOwners, minOwnersToStop or maxSharePermille',
    }),
  )

export const placementSchema = z.object({
  strategy: z.enum(strategies).default('OwnFirst').meta({
    description:
      'OwnFirst: peers take what this cluster has no room for. Cheapest, Fastest: by price, by measured latency. MostResilient: spread over as many owners as possible.',
  }),
  own: z
    .object({
      maxReplicas: z.int().min(0).max(1000).meta({
        format: 'int32',
        description: 'Most workers in this cluster, whatever room it has.',
      }),
    })
    .optional()
    .meta({ description: 'Bound for this cluster; scaling.maxReplicas where it is not set.' }),
  peers: z
    .array(peerSchema)
    .max(32)
    .optional()
    .meta({ description: 'Peers that may run workers, if an EgressPolicy allows it.', ...listMap('name') }),
  minOwners: owners.default(1).meta({
    format: 'int32',
    description: 'Fewest owners, this cluster among them, that workers are spread over if they can be had.',
  }),
  maxSharePerOwnerPermille: permille.default(1000).meta({
    format: 'int32',
    description: 'Largest share of the workers at one owner, in per mille, if others can be had.',
  }),
  maxLatencyMilliseconds: z.int().min(1).max(60_000).optional().meta({
    format: 'int32',
    description: 'Peers whose measured round trip is longer are left out.',
  }),
  requirements: z
    .array(requirementSchema)
    .max(4)
    .optional()
    .meta({
      description: 'What must hold of each layer; what does not is the condition Decentralized=False.',
      ...listMap('layer'),
    }),
  purpose: purpose.default('Inference').meta({ description: 'What for, as peers are told.' }),
  leaseSeconds: z.int().min(5).max(86_400).default(1800).meta({
    format: 'int32',
    description: 'How long workers at a peer go on when the connection is lost; the peer may give less.',
  }),
  maxPrice: z
    .object({
      currency: currency.meta({ description: 'Currency.' }),
      microsPerGPUHour: micros.meta({ format: 'int64', description: 'For a GPU hour, in millionths of the currency.' }),
    })
    .optional()
    .meta({ description: 'Most that is paid; without it only what is free is used.' }),
})

/** One owner that was judged, as `status.candidates` says it. */
export const placementCandidateSchema = z.object({
  owner: z.string().max(253).meta({ description: 'Name of the Peer, or `own` for this cluster.' }),
  replicas: z.int().min(0).meta({ format: 'int32', description: 'Workers that the plan gives it.' }),
  score: z.int().min(0).max(1000).optional().meta({
    format: 'int32',
    description: 'By the strategy, the best 1000; absent where it is left out.',
  }),
  reasons: z.array(z.string().max(64)).max(16).optional().meta({
    description: 'Why it is left out, each one CamelCase word.',
    'x-kubernetes-list-type': 'set',
  }),
})

export type PlacementSpec = z.infer<typeof placementSchema>
export type PlacementCandidate = z.infer<typeof placementCandidateSchema>
export type Requirement = NonNullable<PlacementSpec['requirements']>[number]
