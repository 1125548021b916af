import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of a SharePolicy. */
export const sharePolicyReasons = {
  Ready: {
    InForce: { status: 'True', meaning: 'Requests of its peers are decided by it.', remedy: nothingToDo },
    Suspended: {
      status: 'False',
      meaning: '`spec.suspend` is true: nothing is accepted.',
      remedy: 'Set `spec.suspend` to false.',
    },
    NamespaceNotFound: {
      status: 'False',
      meaning: 'The target namespace does not exist.',
      remedy: 'Create it, labelled pod-security.kubernetes.io/enforce: restricted.',
    },
    NamespaceNotRestricted: {
      status: 'False',
      meaning: 'The target namespace does not enforce restricted Pod Security.',
      remedy: 'Label it pod-security.kubernetes.io/enforce: restricted.',
    },
    NamespaceShared: {
      status: 'False',
      meaning: 'Another SharePolicy has the same target namespace; their quotas would not be apart.',
      remedy: 'Give each SharePolicy a namespace of its own.',
    },
    NamespaceNotGranted: {
      status: 'False',
      meaning: 'The target namespace is not given to guests.',
      remedy: 'Label it hansa.dev/guests: "true".',
    },
    PriorityClassNotFound: {
      status: 'False',
      meaning: 'There is no PriorityClass of that name.',
      remedy: 'Create it, or use hansa-guest of the chart.',
    },
    PriorityTooHigh: {
      status: 'False',
      meaning: 'Guests would not be below our own pods: the value of the PriorityClass is not negative.',
      remedy: 'Use one with a negative value, such as hansa-guest.',
    },
    TimeZoneUnknown: {
      status: 'False',
      meaning: 'A window has a time zone that is not known.',
      remedy: 'Use an IANA name, such as Europe/Berlin.',
    },
    PeerNotFound: { status: 'False', meaning: 'None of its peers exists.', remedy: 'Correct `spec.peers`.' },
    QuotaRefused: {
      status: 'False',
      meaning: 'The API server refuses the ResourceQuota.',
      remedy: 'Read the message; correct `spec.quota`.',
    },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type SharePolicyReason = keyof typeof sharePolicyReasons.Ready
