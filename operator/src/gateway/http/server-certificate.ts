import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Identity } from '../../identity/identity.ts'
import type { Clock } from '../../kube/clock.ts'
import { sleep } from '../../kube/clock.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import type { Logger } from '../../process/log.ts'

/** The certificate shown to users, and word of every new one. */
export type ServerCertificate = {
  current(): { keyPem: string; certPem: string }
  onChanged(listener: () => void): () => void
}

const pollMs = 10_000

/** The process's own certificate, which the internal authority issued with the DNS names that users dial. */
export function certificateOfIdentity(identity: Identity): ServerCertificate {
  return { current: () => identity.current(), onChanged: (listener) => identity.onRenewed(listener) }
}

/**
 * A certificate from files, read again when they change (a Secret volume swaps a symbolic link, which file watchers miss). A pair
 * that cannot be used is logged and the old one stays.
 */
export async function certificateFromFiles(deps: {
  certFile: string
  keyFile: string
  clock: Clock
  log: Logger
  signal: AbortSignal
}): Promise<ServerCertificate> {
  const { certFile, keyFile, clock, log, signal } = deps
  const listeners = new Set<() => void>()
  const read = async () =>
    checked({ certPem: await readFile(certFile, 'utf8'), keyPem: await readFile(keyFile, 'utf8') })
  let current = await read()

  async function poll(): Promise<void> {
    while (!signal.aborted) {
      await sleep(clock, pollMs, signal)
      if (signal.aborted) return
      try {
        const next = await read()
        if (next.certPem === current.certPem && next.keyPem === current.keyPem) continue
        current = next
        log.info('the certificate for users has changed')
        for (const listener of listeners) listener()
      } catch (error) {
        log.error({ error: messageOf(error) }, 'the certificate for users cannot be read; the old one stays')
      }
    }
  }
  void poll()
  return {
    current: () => current,
    onChanged: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function checked(pair: { certPem: string; keyPem: string }): { certPem: string; keyPem: string } {
  try {
    if (new X509Certificate(pair.certPem).checkPrivateKey(createPrivateKey(pair.keyPem))) return pair
  } catch {
    throw new HansaError('CertificateInvalid', 'certificate or key does not decode') // the decoder's words could quote the key
  }
  throw new HansaError('CertificateInvalid', 'certificate and key do not match')
}
