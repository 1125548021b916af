import { nothingToDo, type ReasonText } from './reason.ts'

/** Reasons of a Model\'s condition `Verified`; the fetch worker, `pull` and `verify` use the same words. */
export const modelReasonTexts = {
  Verified: {
    status: 'True',
    meaning: 'Every file has its size and digest and is safe to load.',
    remedy: nothingToDo,
  },
  Pending: { status: 'Unknown', meaning: 'The files wait for their turn to be fetched.', remedy: 'Wait.' },
  Fetching: {
    status: 'Unknown',
    meaning: 'The files are being fetched or checked; the message says how far.',
    remedy: 'Wait.',
  },
  FetchWorkerUnreachable: {
    status: 'Unknown',
    meaning: 'The operator cannot reach the fetch worker, so nothing is known of the files.',
    remedy: 'Ask the cluster admin to run `kubectl hansa check`; the Model goes on by itself when fetch is back.',
  },
  SourceUnreachable: {
    status: 'False',
    meaning: 'The source does not answer, or answers with a server error; it is tried again.',
    remedy:
      "Check the URL, the network policy and proxy of the fetch worker, and the server's certificate (chart value for private CAs).",
  },
  SourceNotFound: {
    status: 'False',
    meaning: 'The source says that a file does not exist, or the local folder has no such file.',
    remedy: 'Check `spec.source` and the paths in `spec.files`: a file lies at <url><path>.',
  },
  SourceForbidden: {
    status: 'False',
    meaning: 'The source refuses the credentials, or wants some where none are given.',
    remedy:
      'Name a Secret in `credentialsSecretName` of the source and check its token or user name and password, and what they may read.',
  },
  SourceAddressRefused: {
    status: 'False',
    meaning: 'The source, or a redirect from it, points to a private, loopback or link-local address.',
    remedy: 'Use a public source, or ask the cluster admin to allow the address range for the fetch worker.',
  },
  SourceUnsupported: {
    status: 'False',
    meaning: 'The registry holds something else than an OCI artifact whose layers are the files as they are.',
    remedy:
      'Push the files as they are, each as a layer of its own with its title (`oras push REGISTRY/NAME:TAG model.onnx`), then add a new Model.',
  },
  SourceStalled: {
    status: 'False',
    meaning: 'The source stopped sending bytes; the download is resumed later from where it stopped.',
    remedy: 'Wait, or use a faster mirror.',
  },
  PeerUnreachable: {
    status: 'False',
    meaning: 'Our gateway has no connection to the gateway of the peer that has the files.',
    remedy:
      'Wait; if it stays, check `dataAddress` and `proxy` of the Peer, and that one side can reach the other (docs/data-path.md).',
  },
  PeerRefused: {
    status: 'False',
    meaning: 'The gateway of the peer does not give the file: the request was ended there, or does not name it.',
    remedy: 'Nothing here; the peer sees why in the log of its gateway and in its RemoteWork.',
  },
  PeerWorkNotGranted: {
    status: 'False',
    meaning: 'No granted GuestWork of that peer and request has its objects in this namespace.',
    remedy: 'Only the operator makes Models with `source.peer`; delete one that was made by hand.',
  },
  CredentialsNotGranted: {
    status: 'False',
    meaning: 'The fetch worker may not read the named Secret, or the Secret or its keys are missing.',
    remedy:
      "Create the Secret with key `token`, or `username` and `password`, and a RoleBinding in this namespace from ClusterRole hansa-source-credentials to the fetch worker's service account.",
  },
  LocalSourceDisabled: {
    status: 'False',
    meaning: 'The cluster admin has set no local root for the fetch worker.',
    remedy: 'Use an https or pvc source, or ask for the chart value `fetch.localRoot`.',
  },
  VolumeUnavailable: {
    status: 'False',
    meaning: 'The PersistentVolumeClaim does not exist or cannot be mounted.',
    remedy: 'Check `spec.source.pvc.claimName` and the events of the claim.',
  },
  VerifyJobFailed: {
    status: 'False',
    meaning: 'The Job that checks the files on the claim failed without a report.',
    remedy: "Read the logs and events of the Job's pod; quota and Pod Security are the usual causes.",
  },
  SizeMismatch: {
    status: 'False',
    meaning: 'A file has another size than `spec.files` says.',
    remedy: 'The file was changed or the size is wrong: check the source, then add a new Model.',
  },
  DigestMismatch: {
    status: 'False',
    meaning: 'A file has another SHA-256 than `spec.files` says.',
    remedy: 'Treat the source as changed: find out why, then add a new Model with the digest that you trust.',
  },
  UnsafePath: {
    status: 'False',
    meaning: 'A path leaves the model folder, or is a symbolic link, a hard link or no regular file.',
    remedy: 'Put plain files into the model folder and name them by relative paths.',
  },
  TooLarge: {
    status: 'False',
    meaning:
      'A file, the sum of the files, or what a model holds (nodes, nesting, time or memory to check it) is over a limit.',
    remedy: 'Use a smaller model, or ask for a higher limit.',
  },
  StorageFull: {
    status: 'False',
    meaning: 'The fetch worker has no space left for the files.',
    remedy: 'Delete Models that are not used, or ask the cluster admin for a larger volume.',
  },
  NotONNX: {
    status: 'False',
    meaning: 'The .onnx file is no ONNX model, or is damaged.',
    remedy: 'Export the model again; check that the file is not a web page or a Git LFS pointer.',
  },
  ExternalDataRefused: {
    status: 'False',
    meaning:
      'The model refers to tensor data outside its folder, in memory, or in a file that `spec.files` does not list.',
    remedy: 'List every data file in `spec.files`, beside or below the .onnx file, or export with the data inside.',
  },
  DuplicateField: {
    status: 'False',
    meaning: 'A field of the model that must occur once occurs twice, so that two readers could see two models.',
    remedy: 'Export the model again with a current exporter.',
  },
  ShapeRefused: {
    status: 'False',
    meaning: 'A tensor has a negative, overflowing or absurd shape, or its data does not fit its shape.',
    remedy: 'Export the model again; if the shape is meant, split the tensor.',
  },
  OperatorDomainRefused: {
    status: 'False',
    meaning: 'The model uses operators of a domain that is not allowed.',
    remedy: 'Use operators of ONNX and ONNX-ML, or ask the cluster admin to allow the domain.',
  },
  FunctionRefused: {
    status: 'False',
    meaning: 'A function of the model calls itself, is defined twice, or hides an operator of a standard domain.',
    remedy: 'Export the model again with its functions inlined.',
  },
  EntrypointMissing: {
    status: 'False',
    meaning: 'No file ends in .onnx, or `spec.entrypoint` is none of the files.',
    remedy: 'List the .onnx file in `spec.files` and name it in `spec.entrypoint`.',
  },
  EntrypointAmbiguous: {
    status: 'False',
    meaning: 'Several files end in .onnx and `spec.entrypoint` is not set.',
    remedy: 'Set `spec.entrypoint`.',
  },
  BlobNotFound: {
    status: 'False',
    meaning: 'A worker asked for a file that the fetch worker no longer has; it fetches the Model again.',
    remedy: "Wait; if it stays, look at the fetch worker's volume.",
  },
} as const satisfies Record<string, ReasonText>

export type ModelReason = keyof typeof modelReasonTexts

/** Every reason of the condition `Verified`. */
// Object.keys gives string[]; the record is closed, so its keys are exactly ModelReason.
export const modelReasons = Object.keys(modelReasonTexts) as readonly ModelReason[]

/** Reasons of each condition of a Model. `Ready` repeats a reason of `Verified` while that is not True. */
export const modelConditionReasons = {
  Verified: modelReasonTexts,
  Ready: {
    Ready: { status: 'True', meaning: 'The model is verified and can be served.', remedy: nothingToDo },
  },
} as const satisfies Record<string, Readonly<Record<string, ReasonText>>>

export type ModelConditionType = keyof typeof modelConditionReasons
