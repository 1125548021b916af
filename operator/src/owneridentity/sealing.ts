import { keySigner } from '../federation/key-signer.ts'
import type { Bundle, Role } from '../federation/messages.ts'
import type { Sealing } from '../federation/seal-message.ts'
import type { Signer } from '../federation/signer.ts'
import type { Clock } from '../kube/clock.ts'
import { HansaError } from '../process/errors.ts'
import { type IdentityKeys, parseKeys } from './identity-keys.ts'
import type { KeyStore, StoredTexts } from './key-store.ts'
import { presentBundle } from './publish-bundle.ts'
import { signing } from './renew-keys.ts'

/** How long keys that were read are used before they are read again: long beside a message, short beside a revocation. */
const freshMilliseconds = 5_000
const readMilliseconds = 10_000

type Known = { text: string; keys: IdentityKeys; bundle: Bundle | undefined }

/** Reads the keys of Identities for those who sign messages; for `createSeal`. */
export function sealingFrom(deps: {
  keyStore: KeyStore
  clock: Clock
}): (identityName: string, signal: AbortSignal) => Promise<Sealing> {
  const { keyStore, clock } = deps
  let held: { at: number; texts: Promise<StoredTexts> } | undefined
  const known = new Map<string, Known>()

  /** One read for all who ask at about the same time; nobody's signal ends it for the others. */
  function texts(): Promise<StoredTexts> {
    if (held !== undefined && clock.monotonic() - held.at <= freshMilliseconds) return held.texts
    const reading = keyStore.read(AbortSignal.timeout(readMilliseconds))
    const started = { at: clock.monotonic(), texts: reading }
    held = started
    reading.catch(() => {
      if (held === started) held = undefined // who waits for it gets the error; the next one asks again
    })
    return reading
  }

  return async (name, signal) => {
    const text = (await texts()).get(name)
    signal.throwIfAborted()
    if (text === undefined) throw notReady(name, 'it has no keys yet')
    let found = known.get(name)
    if (found?.text !== text) {
      const keys = parseKeys(text)
      found = { text, keys, bundle: presentBundle(keys) }
      known.set(name, found)
    }
    const { keys, bundle } = found
    if (bundle === undefined) throw notReady(name, 'it has no bundle yet')
    return { bundle, signerOf: (role) => signerOf(keys, role, name, clock.now()) }
  }
}

function signerOf({ roleKeys, revokedAll }: IdentityKeys, role: Role, name: string, now: number): Signer {
  if (revokedAll) throw notReady(name, 'it was given up')
  const usable = roleKeys.filter((key) => key.role === role && key.keyPem !== undefined)
  const keyPem = signing(usable, now)?.keyPem
  if (keyPem === undefined) throw notReady(name, `no key ${role} of it is valid now`)
  return keySigner(keyPem)
}

function notReady(name: string, why: string): HansaError {
  return new HansaError('IdentityNotReady', `Identity ${name} cannot sign: ${why}`, {
    retry: 'after',
    afterSeconds: 5,
    hint: `look at the condition Ready of Identity ${name}`,
  })
}
