type Waiting = { key: string; start: () => void }

/** Runs at most `total` pieces of work at once and at most `perKey` of one key, so that no namespace takes all the places. */
export class KeyedLimit {
  readonly #total: number
  /** Most pieces of work of one key at once. */
  readonly perKey: number
  readonly #running = new Map<string, number>()
  #count = 0
  #waiting: Waiting[] = []

  constructor(total: number, perKey: number) {
    this.#total = total
    this.perKey = perKey
  }

  get running(): number {
    return this.#count
  }

  /** Waits for a place; rejects with the signal's reason when it aborts before. */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(key, signal)
    try {
      return await work()
    } finally {
      this.#count -= 1
      const left = (this.#running.get(key) ?? 1) - 1
      if (left === 0) this.#running.delete(key)
      else this.#running.set(key, left)
      this.#next()
    }
  }

  #enter(key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const waiting: Waiting = {
        key,
        start: () => {
          signal.removeEventListener('abort', leave)
          resolve()
        },
      }
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiting)
      this.#next()
    })
  }

  #next(): void {
    for (const waiting of [...this.#waiting]) {
      if (this.#count >= this.#total) return
      const running = this.#running.get(waiting.key) ?? 0
      if (running >= this.perKey) continue
      this.#running.set(waiting.key, running + 1)
      this.#count += 1
      this.#waiting = this.#waiting.filter((other) => other !== waiting)
      waiting.start()
    }
  }
}
