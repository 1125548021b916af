import type { Upstream } from './upstream.ts'

type Grant = { sizeBytes: number | undefined; until: number }

const most = 10_000
const refusalMilliseconds = 1000

/** What fetch said about who may have which file, for a short time: a Model that is gone must be gone here soon, too. */
export class Grants {
  readonly #upstream: Upstream
  readonly #seconds: number
  readonly #now: () => number
  readonly #known = new Map<string, Grant>()
  readonly #asking = new Map<string, Promise<number | undefined>>()

  /** `now`: milliseconds, monotonic. */
  constructor(upstream: Upstream, options: { seconds: number; now: () => number }) {
    this.#upstream = upstream
    this.#seconds = options.seconds
    this.#now = options.now
  }

  /** Size of the blob where the namespace may have it. Many questions at once are one call. */
  async size(namespace: string, sha256: string, signal: AbortSignal): Promise<number | undefined> {
    const key = `${namespace}/${sha256}`
    const known = this.#known.get(key)
    if (known !== undefined && this.#now() < known.until) return known.sizeBytes
    const asking =
      this.#asking.get(key) ??
      this.#upstream
        .size(namespace, sha256, signal)
        .then((sizeBytes) => {
          const milliseconds = sizeBytes === undefined ? refusalMilliseconds : this.#seconds * 1000
          this.#remember(key, { sizeBytes, until: this.#now() + milliseconds })
          return sizeBytes
        })
        .finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  #remember(key: string, grant: Grant): void {
    this.#known.delete(key)
    this.#known.set(key, grant)
    const [oldest] = this.#known.keys()
    if (this.#known.size > most && oldest !== undefined) this.#known.delete(oldest)
  }
}
