/** Signs with a key that it need not give away: a Secret's key today, an HSM's tomorrow. */
export type Signer = {
  /** SubjectPublicKeyInfo in DER, base64. */
  readonly publicKey: string
  /** Id of the key in envelopes: SHA-256 of the public key in DER, hex, first 32 digits. */
  readonly keyId: string
  readonly algorithm: 'Ed25519' | 'P-256'
  /** Signature over `bytes`: Ed25519, or ECDSA with SHA-256 in IEEE P1363 form. */
  sign(bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
}
