import type { Seal } from '../federation/federation.ts'
import { createSeal } from '../federation/seal-message.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { secretKeyStore } from '../owneridentity/key-store.ts'
import { sealingFrom } from '../owneridentity/sealing.ts'

/** Seals messages with the keys of the Secret `hansa-identities`; one for all controllers, which share what it has read. */
export function ownerSeal(deps: { client: KubeClient; namespace: string; clock: Clock }): Seal {
  const { client, namespace, clock } = deps
  return createSeal({ clock, sealingOf: sealingFrom({ clock, keyStore: secretKeyStore({ client, namespace }) }) })
}
