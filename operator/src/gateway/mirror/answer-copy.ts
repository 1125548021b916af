/** Larger answers are not compared. */
export const comparedBytes = 1024 * 1024

/** An answer as far as comparing needs it. */
export type Answer = { status: number; headers: Readonly<Record<string, string>>; body: Buffer }

/** Collects an answer on its way to somebody else; it tells once whether it got it whole. */
export class AnswerCopy {
  #status = 0
  #headers: Record<string, string> = {}
  #chunks: Buffer[] = []
  #bytes = 0
  #done: ((answer: Answer | undefined) => void) | undefined

  constructor(done: (answer: Answer | undefined) => void) {
    this.#done = done
  }

  /** `headers` as a flat list of names in lower case and values. */
  begin(status: number, headers: readonly string[]): void {
    this.#status = status
    for (let i = 0; i + 1 < headers.length; i += 2) this.#headers[headers[i] ?? ''] = headers[i + 1] ?? ''
  }

  add(chunk: Buffer): void {
    if (this.#done === undefined) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > comparedBytes) this.cancel()
  }

  end(): void {
    const done = this.#done
    this.#done = undefined
    const body = Buffer.concat(this.#chunks, this.#bytes)
    this.#chunks = []
    done?.({ status: this.#status, headers: this.#headers, body })
  }

  /** There will be no whole answer. Does nothing after the end. */
  cancel(): void {
    const done = this.#done
    this.#done = undefined
    this.#chunks = []
    done?.(undefined)
  }
}
