/** What several exports say about the same: two owners' files, or two of one owner at different times. */
export class AcrossFiles {
  readonly #said = new Map<string, { what: string; file: string }>()

  /** A sentence when another file, or the same, said something else under that name. */
  problem(name: string, what: string, file: string): string | undefined {
    const before = this.#said.get(name)
    if (before === undefined) {
      this.#said.set(name, { what, file })
      return undefined
    }
    return before.what === what ? undefined : `${name} is another one in ${before.file}`
  }
}
