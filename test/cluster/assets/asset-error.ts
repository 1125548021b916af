/** Why there are no Kubernetes binaries, and what the user can do about it. */
export class AssetError extends Error {
  override readonly name = 'AssetError'
  readonly hint: string

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(`${message}\n${hint}`, options)
    this.hint = hint
  }
}
