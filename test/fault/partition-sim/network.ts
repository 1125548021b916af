import type { World } from './world.ts'

export type NetworkOptions = {
  readonly delayMs: number
  readonly lossPermille: number
  readonly duplicatePermille: number
  /** Of calls that take up to twenty times the delay, which also reorders. */
  readonly slowPermille: number
}

/** Calls between owners: delayed, lost, duplicated, reordered, cut in either direction. */
export class Network {
  options: NetworkOptions
  readonly #world: World
  readonly #cuts = new Map<string, number>()

  constructor(world: World, options: NetworkOptions) {
    this.#world = world
    this.options = options
  }

  cut(from: string, to: string): void {
    this.#cuts.set(`${from}>${to}`, (this.#cuts.get(`${from}>${to}`) ?? 0) + 1)
  }

  heal(from: string, to: string): void {
    this.#cuts.set(`${from}>${to}`, Math.max(0, (this.#cuts.get(`${from}>${to}`) ?? 0) - 1))
  }

  isOpen(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) === 0
  }

  get isCut(): boolean {
    return [...this.#cuts.values()].some((cuts) => cuts > 0)
  }

  /** `deliver` happens at the other side, maybe twice, maybe never; `replied` here, if the way back is open too. */
  call(from: string, to: string, deliver: () => boolean, replied: () => void): void {
    const world = this.#world
    if (!this.isOpen(from, to)) return
    if (world.happens(this.options.lossPermille)) {
      world.count('message lost')
      return
    }
    const copies = world.happens(this.options.duplicatePermille) ? 2 : 1
    if (copies === 2) world.count('message duplicated')
    for (let copy = 0; copy < copies; copy++) {
      world.after(this.#delay(), () => {
        if (!this.isOpen(from, to)) return
        if (!deliver() || copy > 0) return
        if (!this.isOpen(to, from)) {
          world.count('one way only: taken, but the reply is lost')
          return
        }
        if (world.happens(this.options.lossPermille)) {
          world.count('reply lost')
          return
        }
        world.after(this.#delay(), replied)
      })
    }
  }

  #delay(): number {
    const world = this.#world
    const isSlow = world.happens(this.options.slowPermille)
    if (isSlow) world.count('message slow, so that others overtake it')
    return world.between(1, this.options.delayMs) * (isSlow ? 20 : 1)
  }
}
