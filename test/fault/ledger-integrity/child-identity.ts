import type { Credentials, Identity } from '@hansa/operator/identity/identity.ts'
import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'

/** An identity whose certificate was made by the parent process. */
export function givenIdentity(uri: string, credentials: Credentials): Identity {
  return { uri, current: () => credentials, onRenewed: () => () => undefined, close: async () => undefined }
}

/** A clock that is wrong by so much. */
export function skewedClock(milliseconds: number): Clock {
  return { ...systemClock, now: () => Date.now() + milliseconds }
}
