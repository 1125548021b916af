import { Transform } from 'node:stream'
import type { Clock } from '../../kube/clock.ts'

/**
 * Lets bytes through as `spend` allows: it is told of each piece and says how many milliseconds the next must wait. Ends with an
 * error when in `stallSeconds` hardly anything (1 KiB a second) could be passed on.
 */
export function paced(options: { spend: (bytes: number) => number; stallSeconds: number; clock: Clock }): Transform {
  const { spend, stallSeconds, clock } = options
  let cancelWait: (() => void) | undefined
  let passed = 0
  let waited = 0
  const transform = new Transform({
    highWaterMark: 262_144,
    transform: (chunk: Buffer, _encoding, done) => {
      passed += chunk.length
      const wait = spend(chunk.length)
      if (wait === 0) return done(null, chunk)
      waited += wait
      cancelWait = clock.after(wait, () => done(null, chunk))
    },
    destroy: (error, done) => {
      cancelWait?.()
      cancelLook()
      done(error)
    },
    final: (done) => {
      cancelLook()
      done()
    },
  })
  let cancelLook = clock.after(stallSeconds * 1000, look)
  function look(): void {
    // Our own pace is not the reader's fault.
    const seconds = Math.max(0, stallSeconds - waited / 1000)
    if (passed < seconds * 1024) {
      transform.destroy(new Error(`the reader took ${passed} bytes in ${stallSeconds} s`))
      return
    }
    passed = 0
    waited = 0
    cancelLook = clock.after(stallSeconds * 1000, look)
  }
  return transform
}
