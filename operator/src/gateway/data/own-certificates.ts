import type { OwnerIdentity } from '../../api/identity.ts'
import type { Bundle } from '../../federation/messages.ts'
import { bundleOfIdentity } from '../../federation/peer-bundle.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Store } from '../../kube/store.ts'
import { messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'
import type { OwnCertificates } from './data-peers.ts'

/** A certificate of ours that renews itself; `follow` has it replaced when our bundle revokes it. */
export type OwnCredentials = Pick<Identity, 'current' | 'onRenewed' | 'close'> & { follow?(ownBundle: Bundle): void }

/** Gets our certificate of one Identity; waits for the operator until the signal aborts. */
export type StartCredentials = (identityName: string, signal: AbortSignal) => Promise<OwnCredentials>

type Held = { stop: AbortController; credentials: OwnCredentials | undefined; done: Promise<void> }

/** Keeps a certificate for each Identity that has keys. */
export function followOwnCertificates(deps: {
  identities: Store<OwnerIdentity>
  start: StartCredentials
  clock: Clock
  log: Logger
}): OwnCertificates & { close(): Promise<void> } {
  const { identities, start, clock, log } = deps
  const held = new Map<string, Held>()
  const listeners = new Set<() => void>()
  const changed = () => {
    for (const listener of listeners) listener()
  }

  async function hold(name: string, mine: Held): Promise<void> {
    const credentials = await start(name, mine.stop.signal)
    if (mine.stop.signal.aborted) return credentials.close()
    mine.credentials = credentials
    const unfollow = credentials.onRenewed(changed)
    mine.stop.signal.addEventListener('abort', unfollow, { once: true })
    changed()
  }

  function look(): void {
    const wanted = new Map(identities.list().map((identity) => [identity.metadata.name, identity]))
    for (const [name, { stop, credentials }] of held) {
      if (wanted.has(name)) continue
      stop.abort()
      held.delete(name)
      credentials
        ?.close()
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'closing an identity failed'))
      changed()
    }
    for (const [name, identity] of wanted) {
      const bundle = bundleOfIdentity(identity, { now: clock.now() })
      const known = held.get(name)
      if (known !== undefined) {
        if (bundle.ok) known.credentials?.follow?.(bundle.bundle)
        continue
      }
      if (identity.status?.trustDomain === undefined) continue
      const mine: Held = { stop: new AbortController(), credentials: undefined, done: Promise.resolve() }
      held.set(name, mine)
      mine.done = hold(name, mine).catch((error: unknown) => {
        if (held.get(name) === mine) held.delete(name)
        if (!mine.stop.signal.aborted) {
          log.error({ identity: name, error: messageOf(error) }, 'there is no certificate of this Identity')
        }
      })
    }
  }

  const unsubscribe = identities.subscribe(look)
  look()
  return {
    of: (name) => held.get(name)?.credentials?.current(),
    onChanged: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      unsubscribe()
      for (const { stop } of held.values()) stop.abort()
      await Promise.all([...held.values()].map(({ done, credentials }) => Promise.all([done, credentials?.close()])))
    },
  }
}
