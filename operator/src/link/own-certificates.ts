/** A certificate of our link for one Identity, PEM, with its end in milliseconds since 1970. */
export type OwnCertificate = { readonly keyPem: string; readonly certPem: string; readonly notAfter: number }

/** Our link's certificates, one for each Identity; kept renewed by whoever makes this. */
export type OwnCertificates = {
  /** Undefined while there is none yet. */
  of(identityName: string): OwnCertificate | undefined
  /** Calls back when an Identity has got another certificate; returns the way to stop. */
  onRenewed(listener: (identityName: string) => void): () => void
}
