import { nothingToDo, type ReasonCatalogue } from './reason.ts'

const suspended = {
  status: 'False',
  meaning: '`spec.suspend` is true; there are no workers.',
  remedy: 'Set `spec.suspend` to false to serve again.',
} as const

/**
 * Reasons of each condition of an InferenceService. `Ready` has no reasons of its own but `Ready`: it repeats the reason and the
 * message of the first of ModelVerified, WorkersReady and Routable that is not True. RolledOut and PeersReady stand apart.
 */
export const inferenceServiceReasons = {
  ModelVerified: {
    Verified: { status: 'True', meaning: 'The Model is verified and can be loaded.', remedy: nothingToDo },
    ModelNotFound: {
      status: 'False',
      meaning: 'There is no Model of the name in `spec.modelRef` in this namespace.',
      remedy: 'Create the Model (`kubectl hansa model add URL` prints one), or correct `spec.modelRef.name`.',
    },
    ModelNotReady: {
      status: 'Unknown',
      meaning: 'The Model exists, and its files are still being fetched and checked.',
      remedy: 'Wait; `kubectl describe models.hansa.dev NAME` shows how far it is.',
    },
    ModelRejected: {
      status: 'False',
      meaning: 'The Model failed its checks: a source that cannot be read, a wrong digest, or an unsafe file.',
      remedy: 'Read the reason of the condition Verified of the Model and follow its remedy on the page model.md.',
    },
    ModelFormatUnsupported: {
      status: 'False',
      meaning: 'The Model is of a format that cannot be served, such as TrainingBundle.',
      remedy: 'Refer to a Model of format ONNX.',
    },
  },
  WorkersReady: {
    Ready: { status: 'True', meaning: 'All wanted workers of the newest revision are ready.', remedy: nothingToDo },
    ScaledToZero: {
      status: 'True',
      meaning: 'No workers are wanted and none exist.',
      remedy: 'Raise `spec.scaling.minReplicas` (mode Hansa) or scale the service (mode External) to serve.',
    },
    Progressing: {
      status: 'False',
      meaning: 'Workers are being created, or are loading the model.',
      remedy: 'Wait; after `spec.timeouts.loadSeconds` without progress the reason becomes DeadlineExceeded.',
    },
    Suspended: suspended,
    Unschedulable: {
      status: 'False',
      meaning: "The scheduler finds no node for a worker; the message holds the scheduler's own words.",
      remedy:
        'Compare `spec.resources`, `spec.nodeSelector` and `spec.tolerations` with the nodes: too few free GPUs are the usual cause.',
    },
    ImagePullFailed: {
      status: 'False',
      meaning: 'A node cannot pull the worker image.',
      remedy: 'Ask the cluster admin to check the chart value of the worker image, the registry and its credentials.',
    },
    CrashLooping: {
      status: 'False',
      meaning: 'A worker ends again and again without a reason that it could report.',
      remedy:
        'Read `kubectl logs` of the pod with `--previous`. Exit code 137 means killed for memory: raise `spec.resources.limits.memory`.',
    },
    ModelLoadFailed: {
      status: 'False',
      meaning: 'A worker got the model files and cannot load them; the message holds its report.',
      remedy:
        'Check that ONNX Runtime can load the model; export it again with a supported opset, then add a new Model.',
    },
    ExecutionProviderUnavailable: {
      status: 'False',
      meaning: "The wanted execution provider cannot be loaded on the worker's node.",
      remedy:
        'Give the worker a GPU (`spec.resources.limits` with nvidia.com/gpu) on a node with its driver, or set `spec.executionProvider.onUnavailable` to UseCPU.',
    },
    QuotaExceeded: {
      status: 'False',
      meaning: 'A ResourceQuota or LimitRange of the namespace refuses a worker pod.',
      remedy: 'Lower `spec.resources` or the number of workers, or ask the cluster admin for more quota.',
    },
    AdmissionRefused: {
      status: 'False',
      meaning:
        "The API server refuses what the service needs, such as its Deployment; the message holds the server's words.",
      remedy:
        'Ask the cluster admin about admission policies and object quotas of the namespace; it is tried again by itself.',
    },
    DeadlineExceeded: {
      status: 'False',
      meaning: 'Workers did not become ready within `spec.timeouts.loadSeconds`.',
      remedy: "Read the pod's events and logs; raise `spec.timeouts.loadSeconds` for large models.",
    },
  },
  Routable: {
    Routable: { status: 'True', meaning: 'Gateways send requests to ready workers.', remedy: nothingToDo },
    NoAccessListed: {
      status: 'True',
      meaning:
        'Gateways would send requests to ready workers, but `spec.access` is empty: nobody may call the service.',
      remedy: 'List callers in `spec.access.serviceAccounts` or `spec.access.oidc`.',
    },
    NoReadyWorkers: {
      status: 'False',
      meaning: 'No revision has a ready worker; requests get 503.',
      remedy: 'See the condition WorkersReady.',
    },
    Suspended: suspended,
    ScaledToZero: {
      status: 'True',
      meaning:
        'The service is scaled to zero; gateways hold requests while it wakes, up to `spec.scaling.holdSeconds`.',
      remedy: 'Nothing. Raise `spec.scaling.minReplicas` where the first requests must not wait.',
    },
  },
  RolledOut: {
    Promoted: { status: 'True', meaning: 'The newest revision has all traffic.', remedy: nothingToDo },
    CanaryWaiting: {
      status: 'Unknown',
      meaning: 'The new revision waits for its workers; it gets no requests yet.',
      remedy: 'Wait, or see the condition WorkersReady.',
    },
    CanaryProgressing: {
      status: 'Unknown',
      meaning: 'The new revision gets a share of the requests and is compared with the old one.',
      remedy: 'Wait; `kubectl hansa rollout status NAME` shows the figures.',
    },
    CanaryPaused: {
      status: 'Unknown',
      meaning: '`spec.rollout.paused` holds the canary at its step.',
      remedy: 'Go on with `kubectl hansa rollout resume NAME`, or end it with `promote` or `abort`.',
    },
    NotReady: {
      status: 'False',
      meaning: 'Rolled back: workers of the new revision did not become ready, or did not stay so.',
      remedy:
        'Read the message, mend the Model or the spec; `kubectl hansa rollout retry NAME` tries the same revision again.',
    },
    TooManyErrors: {
      status: 'False',
      meaning:
        'Rolled back: more requests failed than with the old revision, by more than `spec.rollout.analysis.maxErrorPermille`.',
      remedy:
        "Read the new workers' logs, mend the Model; `kubectl hansa rollout retry NAME` tries the same revision again.",
    },
    TooSlow: {
      status: 'False',
      meaning:
        'Rolled back: slower than the old revision by more than `spec.rollout.analysis.maxLatencyPermille` allows.',
      remedy:
        'Give it more resources, or raise the limit; `kubectl hansa rollout retry NAME` tries the same revision again.',
    },
    Disagrees: {
      status: 'False',
      meaning:
        'Rolled back: on mirrored requests its answers differ from those of the old revision more often than `spec.rollout.mirror` allows.',
      remedy:
        'Check that the model is the right one; where it shall answer differently, leave `spec.rollout.mirror` out.',
    },
    Aborted: {
      status: 'False',
      meaning: 'Rolled back by `kubectl hansa rollout abort`.',
      remedy: '`kubectl hansa rollout retry NAME` tries the same revision again.',
    },
  },
  PeersReady: {
    PeersReady: { status: 'True', meaning: 'All peers run the wanted workers.', remedy: nothingToDo },
    NotPlaced: {
      status: 'False',
      meaning: 'Nothing is asked of a peer yet: the Model is not verified here, or cannot be handed out.',
      remedy: 'See the message, and the condition ModelVerified.',
    },
    EgressDenied: {
      status: 'False',
      meaning: 'No EgressPolicy lets the namespace and its data class use a peer.',
      remedy: 'Ask the cluster admin for an EgressPolicy.',
    },
    SpendLimit: {
      status: 'False',
      meaning: 'The spend limit of the EgressPolicy is taken by other work.',
      remedy: 'Ask for less, for cheaper, or ask the cluster admin.',
    },
    PeerRefused: {
      status: 'False',
      meaning: 'A peer refused, or ended what it had granted; all its reasons are in `status.owners`.',
      remedy: 'Change what is asked for, or call the admin of the peer.',
    },
    PeerFailed: {
      status: 'False',
      meaning: 'Workers do not start at a peer; its words are in `status.owners`.',
      remedy: 'Read the message; the admin of the peer sees more.',
    },
    PeerProgressing: { status: 'False', meaning: 'Workers are starting at a peer.', remedy: nothingToDo },
    PeerDeciding: { status: 'Unknown', meaning: 'A peer has not answered yet.', remedy: nothingToDo },
    PeerNotReady: {
      status: 'Unknown',
      meaning: 'A Peer is not verified, is frozen, cannot be reached, or does not exist.',
      remedy: 'See the Peer.',
    },
    LeaseUncertain: {
      status: 'Unknown',
      meaning: 'A peer was not heard of in time. Its workers may run until their lease is over; nothing is deleted.',
      remedy: 'See the Peer; check the network.',
    },
  },
  Decentralized: {
    RequirementsMet: {
      status: 'True',
      meaning: 'All of `spec.placement.requirements` hold.',
      remedy: nothingToDo,
    },
    TooFewOwners: {
      status: 'False',
      meaning: 'Fewer owners than required have a part of a layer.',
      remedy: '`kubectl hansa layers NAME` shows each layer; add peers, or require less.',
    },
    TooConcentrated: {
      status: 'False',
      meaning: 'One owner has a larger share of a layer than allowed.',
      remedy: '`kubectl hansa layers NAME` shows each layer; set maxSharePerOwnerPermille, add peers, or require less.',
    },
    TooFragile: {
      status: 'False',
      meaning: 'Fewer owners than required can stop a layer together.',
      remedy: '`kubectl hansa layers NAME` shows each layer; add owners to it, or require less.',
    },
    NotKnown: {
      status: 'Unknown',
      meaning: 'Whether a requirement holds depends on what is not known: a peer is not heard of, or nothing runs now.',
      remedy: '`kubectl hansa layers NAME` shows each layer and why; see the Peers.',
    },
  },
  Ready: {
    Ready: {
      status: 'True',
      meaning: 'The model is verified, the workers are ready and gateways send requests to them.',
      remedy: nothingToDo,
    },
  },
} as const satisfies Record<string, ReasonCatalogue>

export type InferenceServiceConditionType = keyof typeof inferenceServiceReasons
export type ModelVerifiedReason = keyof typeof inferenceServiceReasons.ModelVerified
export type WorkersReadyReason = keyof typeof inferenceServiceReasons.WorkersReady
export type RolledOutReason = keyof typeof inferenceServiceReasons.RolledOut
export type RoutableReason = keyof typeof inferenceServiceReasons.Routable
export type PeersReadyReason = keyof typeof inferenceServiceReasons.PeersReady
export type DecentralizedReason = keyof typeof inferenceServiceReasons.Decentralized
/** Every reason that an InferenceService's conditions can have. */
export type InferenceServiceReason =
  | ModelVerifiedReason
  | WorkersReadyReason
  | RoutableReason
  | RolledOutReason
  | PeersReadyReason
  | DecentralizedReason
  | 'Ready'
