export type Right = {
  /** Why the holder cannot do without. */
  why: string
  apiGroups: string[]
  resources: string[]
  resourceNames?: string[]
  verbs: string[]
}

/** Every right that the chart gives away, and to whom; a change of templates/rbac must be argued here. */
export const expectedRights: Record<string, { boundTo: string[]; rights: Right[] }> = {
  'ClusterRole hansa-operator': {
    boundTo: ['hansa-operator'],
    rights: [
      {
        why: 'its input is what users declare, in every namespace',
        apiGroups: ['hansa.dev'],
        resources: ['models', 'inferenceservices', 'accesskeys'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'status and conditions are its only answer; it never changes a spec',
        apiGroups: ['hansa.dev'],
        resources: ['models/status', 'inferenceservices/status', 'accesskeys/status'],
        verbs: ['patch'],
      },
      {
        why: 'the bundle that peers get is published in the status of the Identity',
        apiGroups: ['hansa.dev'],
        resources: ['identities/status'],
        verbs: ['patch'],
      },
      {
        why: 'it judges Peers, but whose key is pinned and verified stands in the spec, which admins alone write',
        apiGroups: ['hansa.dev'],
        resources: ['peers/status'],
        verbs: ['patch'],
      },
      {
        why: 'the admission plugin OwnerReferencesPermissionEnforcement asks for it where children block the deletion of their owner',
        apiGroups: ['hansa.dev'],
        resources: ['models/finalizers', 'inferenceservices/finalizers'],
        verbs: ['update'],
      },
      {
        why: 'peers are asked for work as the cluster admin allows it',
        apiGroups: ['hansa.dev'],
        resources: ['identities', 'peers', 'egresspolicies', 'remoteworks'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'the label of a namespace says its data class, which decides where its data may go',
        apiGroups: [''],
        resources: ['namespaces'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'the signed messages for peers lie in the status of RemoteWorks',
        apiGroups: ['hansa.dev'],
        resources: ['egresspolicies/status', 'remoteworks/status'],
        verbs: ['patch'],
      },
      {
        why: 'a RemoteWork is made for each peer and state of a service, and its finalizer makes sure that its end is told',
        apiGroups: ['hansa.dev'],
        resources: ['remoteworks'],
        verbs: ['create', 'patch', 'delete'],
      },
      {
        why: 'what peers may run here is what the cluster admin shares',
        apiGroups: ['hansa.dev'],
        resources: ['sharepolicies'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'a SharePolicy is told whether it is in force, and how much of it is used',
        apiGroups: ['hansa.dev'],
        resources: ['sharepolicies/status'],
        verbs: ['patch'],
      },
      {
        why: 'guest work runs as a Model and an InferenceService of its own; the admission policy holds it to those',
        apiGroups: ['hansa.dev'],
        resources: ['models', 'inferenceservices'],
        verbs: ['create', 'patch', 'delete'],
      },
      {
        why: 'the lease of a guest is a ConfigMap that its workers mount; it reads none, and may change only its own',
        apiGroups: [''],
        resources: ['configmaps'],
        verbs: ['create', 'patch'],
      },
      {
        why: 'each namespace of guests has a quota',
        apiGroups: [''],
        resources: ['resourcequotas'],
        verbs: ['get', 'list', 'watch', 'create', 'patch'],
      },
      {
        why: 'guests get only what no pod of the cluster waits for',
        apiGroups: [''],
        resources: ['nodes'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'the priority of guests must be below that of all others',
        apiGroups: ['scheduling.k8s.io'],
        resources: ['priorityclasses'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'each revision of a service is a Deployment, and an old one is deleted when traffic has left it',
        apiGroups: ['apps'],
        resources: ['deployments'],
        verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
      },
      {
        why: 'each service has an account without rights, whose name is its identity; the garbage collector removes it',
        apiGroups: [''],
        resources: ['serviceaccounts'],
        verbs: ['get', 'list', 'watch', 'create', 'patch'],
      },
      {
        why: 'workers may reach fetch, the authority and DNS alone',
        apiGroups: ['networking.k8s.io'],
        resources: ['networkpolicies'],
        verbs: ['get', 'list', 'watch', 'create', 'patch'],
      },
      {
        why: 'a model on a claim is checked where the claim is; Jobs remove themselves by their time to live',
        apiGroups: ['batch'],
        resources: ['jobs'],
        verbs: ['get', 'list', 'watch', 'create', 'patch'],
      },
      {
        why: 'conditions say why a worker does not start',
        apiGroups: [''],
        resources: ['pods'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'users look for what happened with kubectl describe',
        apiGroups: ['events.k8s.io'],
        resources: ['events'],
        verbs: ['create', 'patch'],
      },
      {
        why: 'a certificate is for whom the API server says the token is',
        apiGroups: ['authentication.k8s.io'],
        resources: ['tokenreviews'],
        verbs: ['create'],
      },
    ],
  },
  'Role hansa-operator': {
    boundTo: ['hansa-operator'],
    rights: [
      {
        why: 'what peers ask lies in the namespace of the release, and is forgotten when it is over',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks'],
        verbs: ['get', 'list', 'watch', 'delete'],
      },
      {
        why: 'the decision, the lease and the signed answers lie in the status of GuestWorks',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks/status'],
        verbs: ['patch'],
      },
      {
        why: 'the first leader creates the lease; RBAC cannot tie creation to a name',
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        verbs: ['create'],
      },
      {
        why: 'leading is renewing this one lease',
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: ['hansa-operator'],
        verbs: ['get', 'update'],
      },
      {
        why: 'the first operator to start makes the authority; RBAC cannot tie creation to a name',
        apiGroups: [''],
        resources: ['secrets'],
        verbs: ['create'],
      },
      {
        why: 'every other start reads the authority',
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['hansa-ca'],
        verbs: ['get'],
      },
      {
        why: 'the keys of Identities are renewed in their Secret, and every replica issues certificates with them',
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['hansa-identities'],
        verbs: ['get', 'update'],
      },
      {
        why: "the authority's certificate is published by server-side apply, which creates under a known name",
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['hansa-trust'],
        verbs: ['get', 'create', 'patch'],
      },
    ],
  },
  'ClusterRole hansa-gateway': {
    boundTo: ['hansa-gateway'],
    rights: [
      {
        why: 'routes and access lists are in InferenceServices, hashes of keys in AccessKeys',
        apiGroups: ['hansa.dev'],
        resources: ['inferenceservices', 'accesskeys'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'ready workers are found by their pods',
        apiGroups: [''],
        resources: ['pods'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'gateways of verified peers may connect, and get the model files of work that was asked of them',
        apiGroups: ['hansa.dev'],
        resources: ['identities', 'peers', 'remoteworks'],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  },
  'Role hansa-gateway': {
    boundTo: ['hansa-gateway'],
    rights: [
      {
        why: 'leases of guests end also where the operator is down, and their model files come from the peer that asked',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks'],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  },
  'ClusterRole hansa-link': {
    boundTo: ['hansa-link'],
    rights: [
      {
        why: 'it knows peers by their objects, and carries what the operator signed for them',
        apiGroups: ['hansa.dev'],
        resources: ['identities', 'peers', 'remoteworks'],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'mailboxes and connections are in the status; the admission policy holds it to those, and it never changes a spec',
        apiGroups: ['hansa.dev'],
        resources: ['peers/status', 'remoteworks/status'],
        verbs: ['patch'],
      },
    ],
  },
  'Role hansa-link': {
    boundTo: ['hansa-link'],
    rights: [
      {
        why: 'a request of a peer is put down as it came; it cannot be changed or deleted by who takes it',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks'],
        verbs: ['create', 'get', 'list', 'watch'],
      },
      {
        why: 'further messages about it go into its mailbox; the admission policy refuses it the decision and the lease',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks/status'],
        verbs: ['patch'],
      },
    ],
  },
  'ClusterRole hansa-ledger': {
    boundTo: ['hansa-ledger'],
    rights: [
      {
        why: 'it must know in whose name it claims, with whom, and what was asked of them; it writes no object',
        apiGroups: ['hansa.dev'],
        resources: ['identities', 'peers', 'remoteworks'],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  },
  'Role hansa-ledger': {
    boundTo: ['hansa-ledger'],
    rights: [
      {
        why: 'what was granted, at which price, and its GPU seconds make the claims',
        apiGroups: ['hansa.dev'],
        resources: ['guestworks'],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  },
  'ClusterRole hansa-source-credentials': {
    boundTo: [],
    rights: [
      {
        why: 'a namespace may let fetch read the credentials of its model sources, by a RoleBinding of its own',
        apiGroups: [''],
        resources: ['secrets'],
        verbs: ['get'],
      },
    ],
  },
  'ClusterRole hansa-view': {
    boundTo: [],
    rights: [
      {
        why: 'aggregated into view, edit and admin: who may look at a namespace may look at its models',
        apiGroups: ['hansa.dev'],
        resources: [
          'models',
          'models/status',
          'inferenceservices',
          'inferenceservices/status',
          'inferenceservices/scale',
          'accesskeys',
          'accesskeys/status',
        ],
        verbs: ['get', 'list', 'watch'],
      },
      {
        why: 'the same for what is asked of other owners for it; the operator alone writes that',
        apiGroups: ['hansa.dev'],
        resources: ['remoteworks', 'remoteworks/status'],
        verbs: ['get', 'list', 'watch'],
      },
    ],
  },
  'ClusterRole hansa-edit': {
    boundTo: [],
    rights: [
      {
        why: 'aggregated into edit and admin: who may run workloads in a namespace may serve models there',
        apiGroups: ['hansa.dev'],
        resources: ['models', 'inferenceservices', 'accesskeys'],
        verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'],
      },
      {
        why: 'the same for scaling by hand or by an autoscaler of theirs',
        apiGroups: ['hansa.dev'],
        resources: ['inferenceservices/scale'],
        verbs: ['update', 'patch'],
      },
    ],
  },
}
