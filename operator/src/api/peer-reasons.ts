import { nothingToDo, type ReasonCatalogue } from './reason.ts'

/** Reasons of each condition of a Peer; `Ready` repeats the first of the others that is not True. */
export const peerReasons = {
  Verified: {
    FingerprintMatches: {
      status: 'True',
      meaning: 'The typed fingerprint is that of the join: the pinned key is the right one.',
      remedy: nothingToDo,
    },
    Invited: {
      status: 'False',
      meaning: 'An invite was made; no acceptance has come yet.',
      remedy: 'Send the invite, get the acceptance, then `kubectl hansa peer complete FILE`.',
    },
    InviteExpired: {
      status: 'False',
      meaning: 'The invite was not accepted in time.',
      remedy: 'Delete the Peer and invite again.',
    },
    Unverified: {
      status: 'False',
      meaning: 'The fingerprint was not typed yet; no call works.',
      remedy: 'Call the other admin, compare, and run `kubectl hansa peer verify NAME`.',
    },
    FingerprintMismatch: {
      status: 'False',
      meaning: 'The typed fingerprint is not that of the join: a typing error, or somebody changed a file on the way.',
      remedy: 'Hear it once more; if it still differs, delete the Peer on both sides and join again over another way.',
    },
    IdentityNotFound: {
      status: 'False',
      meaning: 'There is no Identity of the name in `spec.identityRef`.',
      remedy: 'Create the Identity, or leave and join again.',
    },
    IdentityNotReady: {
      status: 'Unknown',
      meaning: 'The Identity has no keys yet, so the fingerprint of the join cannot be computed.',
      remedy: 'See the condition Ready of the Identity.',
    },
    NotJoined: {
      status: 'False',
      meaning: 'The Peer has no complete record of a join, so nothing proves whose key it holds.',
      remedy: 'Make Peers by `kubectl hansa peer invite` and `accept`, never by hand.',
    },
    BundleInvalid: {
      status: 'False',
      meaning: "The peer's bundle is expired or not signed by its root key.",
      remedy: 'Ask the peer for its state; it must publish a bundle again.',
    },
    Revoked: {
      status: 'False',
      meaning: 'The root key of the peer was revoked by its owner.',
      remedy: 'Join again with the new key, after hearing from a person you know there.',
    },
    OwnKey: {
      status: 'False',
      meaning: 'The key of the peer is our own.',
      remedy: 'An owner does not join itself; use two Identities only for two owners.',
    },
  },
  Connected: {
    Connected: { status: 'True', meaning: 'The link can call the peer.', remedy: nothingToDo },
    NotConnected: {
      status: 'Unknown',
      meaning: 'No connection to the peer now; what runs goes on until leases end.',
      remedy: 'Look at the message; check address, proxy and firewall on both sides.',
    },
    Suspended: {
      status: 'False',
      meaning: '`spec.suspend` of the Peer or of its Identity is true.',
      remedy: '`kubectl hansa peer unfreeze NAME`.',
    },
    NotVerified: {
      status: 'False',
      meaning: 'The Peer is not verified; no connection is made.',
      remedy: 'See the condition Verified.',
    },
    PeerFrozeUs: { status: 'False', meaning: 'The peer says that it has frozen us.', remedy: 'Ask its admin.' },
    PeerLeft: {
      status: 'False',
      meaning: 'The peer says that it has left.',
      remedy: 'Delete the Peer: `kubectl hansa peer leave NAME`.',
    },
  },
  Compatible: {
    SameVersion: { status: 'True', meaning: 'Both sides speak a common version of the protocol.', remedy: nothingToDo },
    NotKnownYet: {
      status: 'Unknown',
      meaning: 'Versions are compared with the first connection.',
      remedy: nothingToDo,
    },
    NoCommonVersion: {
      status: 'False',
      meaning: 'There is no version that both sides speak; leases that run go on.',
      remedy: 'Upgrade the older side; N and N-1 work together.',
    },
  },
  Recovered: {
    Confirmed: {
      status: 'True',
      meaning: 'The peer has confirmed what it saw of us since our state began.',
      remedy: nothingToDo,
    },
    AwaitingConfirmation: {
      status: 'Unknown',
      meaning: 'Our operator or state began anew: nothing is granted until the peer has said which epochs it saw.',
      remedy: nothingToDo,
    },
    NotAsked: {
      status: 'Unknown',
      meaning: 'The Peer is not verified, so nothing was asked of it.',
      remedy: 'See the condition Verified.',
    },
    Implausible: {
      status: 'False',
      meaning: 'What the peer says of our earlier grants cannot be; nothing is granted to it.',
      remedy: 'Ask its admin; if its state was lost, both leave and join again.',
    },
    Restored: {
      status: 'Unknown',
      meaning: 'Our state is older than what the peer saw: it was restored. A new incarnation begins.',
      remedy: 'Wait until the peer is connected.',
    },
  },
  Ready: {
    Ready: { status: 'True', meaning: 'Work can be asked and granted.', remedy: nothingToDo },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type PeerConditionType = keyof typeof peerReasons
export type PeerReason = { [C in PeerConditionType]: keyof (typeof peerReasons)[C] }[PeerConditionType]
