/** The claims of one file, by the SHA-256 of their payload. */
export type FileClaims = {
  file: string
  log: string
  peer: string
  month: string
  claims: ReadonlyMap<string, { what: string; isSettled: boolean }>
}

/** What several exports say about the same: two owners' files, or two of one owner at different times. */
export class AcrossFiles {
  readonly #said = new Map<string, { what: string; file: string }>()
  readonly #files: FileClaims[] = []

  /** A sentence when another file, or the same, said something else under that name. */
  problem(name: string, what: string, file: string): string | undefined {
    const before = this.#said.get(name)
    if (before === undefined) {
      this.#said.set(name, { what, file })
      return undefined
    }
    return before.what === what ? undefined : `${name} is another one in ${before.file}`
  }

  add(claims: FileClaims): void {
    this.#files.push(claims)
  }

  /** Claims of a month that one owner's file has as settled, and that of the other has not at all. */
  missing(): { file: string; problem: string }[] {
    const missing: { file: string; problem: string }[] = []
    for (const one of this.#files) {
      for (const other of this.#files) {
        if (one.log !== other.peer || one.peer !== other.log || one.month !== other.month) continue
        for (const [sha256, { what, isSettled }] of one.claims) {
          // What was not answered yet may be on its way.
          if (!isSettled || other.claims.has(sha256)) continue
          missing.push({ file: other.file, problem: `${what} is settled in ${one.file}, and is not in this file` })
        }
      }
    }
    return missing
  }
}
