import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of an Identity. */
export const identityReasons = {
  Ready: {
    Published: {
      status: 'True',
      meaning: 'Keys exist, and the bundle that peers get is current.',
      remedy: nothingToDo,
    },
    Suspended: {
      status: 'False',
      meaning: '`spec.suspend` is true: all foreign work of this identity is frozen.',
      remedy: '`kubectl hansa unfreeze`, or set `spec.suspend` to false.',
    },
    KeysUnreadable: {
      status: 'False',
      meaning: 'The keys of the identity cannot be read or do not belong together.',
      remedy: 'Restore the Secret from a backup, or follow "A compromised or lost key" on the page owners.md.',
    },
    Revoked: {
      status: 'False',
      meaning: 'The identity was given up for ever by the annotation `hansa.dev/revoke-identity`; peers refuse it.',
      remedy: 'Make an Identity of another name and join again.',
    },
    BundleExpired: {
      status: 'False',
      meaning: 'The bundle could not be renewed in time; peers refuse us.',
      remedy: 'Read the log of the operator; the root key must be reachable to sign a new bundle.',
    },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type IdentityReason = keyof typeof identityReasons.Ready
