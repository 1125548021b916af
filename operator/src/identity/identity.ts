/** PEM texts of one moment: PKCS #8 key, certificate, and the trusted authorities (one or more certificates). */
export type Credentials = { keyPem: string; certPem: string; caPem: string }

/**
 * Who a process is inside its owner's cluster. `current` is cheap and always answers: while the authority cannot be reached
 * it keeps the last certificate. Listeners run after each renewal; the returned function removes them.
 */
export type Identity = {
  readonly uri: string
  current(): Credentials
  onRenewed(listener: () => void): () => void
  close(): Promise<void>
}
