import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of a GuestWork; `Ready` repeats the first of the others that is not True. */
export const guestWorkReasons = {
  Authentic: {
    Authentic: {
      status: 'True',
      meaning: 'The request is signed by the peer, for us, and not expired.',
      remedy: nothingToDo,
    },
    SignatureInvalid: {
      status: 'False',
      meaning: 'The signature is not of a role key of the peer.',
      remedy: nothingToDo,
    },
    WrongAudience: { status: 'False', meaning: 'The request is for somebody else.', remedy: nothingToDo },
    Expired: { status: 'False', meaning: 'The request came too late.', remedy: nothingToDo },
    Malformed: { status: 'False', meaning: 'The request does not decode.', remedy: nothingToDo },
    PeerNotReady: {
      status: 'Unknown',
      meaning: 'The Peer is not verified, is frozen, or is gone.',
      remedy: 'See the Peer.',
    },
  },
  Granted: {
    Granted: { status: 'True', meaning: 'A SharePolicy allows it; it has a lease.', remedy: nothingToDo },
    Refused: {
      status: 'False',
      meaning: 'Not allowed; all reasons are in `status.refusals`.',
      remedy: 'Edit a SharePolicy to allow it; it is then decided anew.',
    },
    AwaitingConfirmation: {
      status: 'Unknown',
      meaning: 'The peer must first confirm the epochs that it saw.',
      remedy: 'Wait for the connection.',
    },
    Cancelled: { status: 'False', meaning: 'The requester cancelled it.', remedy: nothingToDo },
    LeaseExpired: { status: 'False', meaning: 'It was not renewed in time.', remedy: nothingToDo },
    WindowClosed: { status: 'False', meaning: 'The window of the SharePolicy is over.', remedy: nothingToDo },
    Preempted: { status: 'False', meaning: 'Our own pods need the resources.', remedy: nothingToDo },
    Vetoed: { status: 'False', meaning: 'Our admin ended it.', remedy: nothingToDo },
    Frozen: { status: 'False', meaning: 'Foreign work is frozen.', remedy: '`kubectl hansa unfreeze`.' },
    PolicyChanged: { status: 'False', meaning: 'No SharePolicy allows it any more.', remedy: nothingToDo },
  },
  Running: {
    Running: { status: 'True', meaning: 'All workers are ready.', remedy: nothingToDo },
    Progressing: { status: 'False', meaning: 'Workers are starting.', remedy: nothingToDo },
    Failed: { status: 'False', meaning: 'Workers do not start; the message says why.', remedy: 'Read the message.' },
    Draining: { status: 'False', meaning: 'The lease has ended; requests are being finished.', remedy: nothingToDo },
    Stopped: { status: 'False', meaning: 'Nothing runs.', remedy: nothingToDo },
  },
  Ready: {
    Ready: { status: 'True', meaning: 'The work runs.', remedy: nothingToDo },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type GuestWorkConditionType = keyof typeof guestWorkReasons
export type GuestWorkReason = {
  [C in GuestWorkConditionType]: keyof (typeof guestWorkReasons)[C]
}[GuestWorkConditionType]

/** Reasons in a refusal or at the end of a lease, as the requester sees them. */
export const refusalReasons = [
  'NoSharePolicy',
  'PolicySuspended',
  'PolicyNotReady',
  'WorkloadNotShared',
  'DataClassNotAllowed',
  'PurposeNotAllowed',
  'ModelNotAllowed',
  'OutsideWindow',
  'NotIdle',
  'QuotaExceeded',
  'TooManyLeases',
  'PriceTooLow',
  'CurrencyDiffers',
  'ResourceNotOffered',
  'Frozen',
  'Cancelled',
  'LeaseExpired',
  'WindowClosed',
  'Preempted',
  'Vetoed',
  'PolicyChanged',
  'RequestInvalid',
  'RequestExpired',
] as const
export type RefusalReason = (typeof refusalReasons)[number]
