import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of an EgressPolicy. */
export const egressPolicyReasons = {
  Ready: {
    InForce: { status: 'True', meaning: 'It allows what it says.', remedy: nothingToDo },
    Suspended: {
      status: 'False',
      meaning: '`spec.suspend` is true: it allows nothing.',
      remedy: 'Set `spec.suspend` to false.',
    },
    PeerNotFound: { status: 'False', meaning: 'None of its peers exists.', remedy: 'Correct `spec.peers`.' },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type EgressPolicyReason = keyof typeof egressPolicyReasons.Ready

/** What stands against a request on its way out, in messages of a RemoteWork. */
export const egressDenialReasons = [
  'NoEgressPolicy',
  'DataClassBelowNamespace',
  'PolicySuspended',
  'DataClassNotListed',
  'NamespaceNotListed',
  'NamespaceLabelsDiffer',
  'WorkloadNotListed',
  'NotFree',
  'CurrencyDiffers',
  'SpendLimit',
] as const
export type EgressDenialReason = (typeof egressDenialReasons)[number]
