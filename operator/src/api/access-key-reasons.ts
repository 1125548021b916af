import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of an AccessKey. */
export const accessKeyReasons = {
  Ready: {
    Accepted: { status: 'True', meaning: 'Gateways accept the key for its services.', remedy: nothingToDo },
    ExpiresSoon: {
      status: 'True',
      meaning: 'The key is accepted; its last secret expires within seven days.',
      remedy: 'Rotate it: `kubectl hansa key rotate NAME`.',
    },
    Expired: {
      status: 'False',
      meaning: 'Every secret of the key has expired.',
      remedy: 'Rotate it (`kubectl hansa key rotate NAME`) and hand over the new secret, or delete it.',
    },
    Suspended: {
      status: 'False',
      meaning: '`spec.suspend` is true; gateways refuse the key.',
      remedy: 'Set `spec.suspend` to false to accept it again.',
    },
    ServiceNotFound: {
      status: 'False',
      meaning: 'None of the InferenceServices in `spec.services` exists in this namespace.',
      remedy: 'Create one of them, or correct `spec.services`.',
    },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type AccessKeyReason = keyof typeof accessKeyReasons.Ready
