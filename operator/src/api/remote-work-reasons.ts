import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of a RemoteWork; `Ready` repeats the first of the others that is not True. */
export const remoteWorkReasons = {
  Delivered: {
    Delivered: { status: 'True', meaning: "The peer's link has the request.", remedy: nothingToDo },
    Waiting: { status: 'Unknown', meaning: 'The request waits for a connection.', remedy: 'See the Peer.' },
    RefusedByLink: {
      status: 'False',
      meaning: "The peer's link does not take the request.",
      remedy: 'Read the message.',
    },
    EgressDenied: {
      status: 'False',
      meaning: 'No EgressPolicy lets this namespace and data class use the peer.',
      remedy: 'Ask the cluster admin for an EgressPolicy.',
    },
    SpendLimit: {
      status: 'False',
      meaning: 'The spend limit of the EgressPolicy is reached.',
      remedy: 'Wait, or ask the cluster admin.',
    },
    PeerNotReady: {
      status: 'Unknown',
      meaning: 'The Peer is not verified, is frozen, or does not exist.',
      remedy: 'See the Peer.',
    },
  },
  Granted: {
    Granted: { status: 'True', meaning: 'The peer granted a lease.', remedy: nothingToDo },
    Deciding: { status: 'Unknown', meaning: 'The peer has not answered yet.', remedy: nothingToDo },
    Refused: {
      status: 'False',
      meaning: 'The peer refused; its reasons are in `status.answer`.',
      remedy: 'Change the request, or ask the admin of the peer.',
    },
    Ended: {
      status: 'False',
      meaning: 'The peer ended the lease; its reasons are in `status.answer`.',
      remedy: 'Read the reasons.',
    },
    Cancelled: {
      status: 'False',
      meaning: 'We cancelled it: an EgressPolicy no longer allows it, or its data class was raised.',
      remedy: 'See the condition Delivered.',
    },
    RequestExpired: {
      status: 'False',
      meaning: 'The peer did not take the request while it was valid; it is asked anew.',
      remedy: 'See the Peer.',
    },
    LeaseUncertain: {
      status: 'Unknown',
      meaning: 'The peer was not heard of in time. The work may run there until the lease is over; nothing is deleted.',
      remedy: 'See the Peer; check the network.',
    },
    LeaseExpired: { status: 'False', meaning: 'The lease is over without a renewal.', remedy: nothingToDo },
    Stale: {
      status: 'False',
      meaning: 'The answer belongs to an older epoch or attempt and does not count.',
      remedy: nothingToDo,
    },
  },
  Running: {
    Running: { status: 'True', meaning: 'All workers are ready there.', remedy: nothingToDo },
    Progressing: { status: 'False', meaning: 'Workers are starting there.', remedy: nothingToDo },
    Failed: {
      status: 'False',
      meaning: 'Workers do not start there; the message says why.',
      remedy: 'Read the message.',
    },
    NotGranted: { status: 'False', meaning: 'Nothing runs without a grant.', remedy: nothingToDo },
    NotKnown: {
      status: 'Unknown',
      meaning: 'The peer cannot be reached; its last word is in the status.',
      remedy: nothingToDo,
    },
  },
  Ready: {
    Ready: { status: 'True', meaning: 'The peer runs the work.', remedy: nothingToDo },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type RemoteWorkConditionType = keyof typeof remoteWorkReasons
export type RemoteWorkReason = {
  [C in RemoteWorkConditionType]: keyof (typeof remoteWorkReasons)[C]
}[RemoteWorkConditionType]
