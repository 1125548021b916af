import { Agent, request } from 'undici'
import { heldOutDigits } from '../../demo/ask.ts'

/** One request, when it began and how long it took, in milliseconds of `performance.now`. */
export type Outcome = {
  began: number
  took: number
  /** 0 where no answer came. */
  status: number
  /** Who answered: `own`, or a Peer; undefined where nobody did. */
  owner: string | undefined
  text: string
}

export type OwnerLoad = {
  readonly outcomes: readonly Outcome[]
  /** Ends the load and waits for the last answer. */
  stop(): Promise<void>
}

/** So many at the same moment, so that one worker is never enough. */
const burst = 6
const everyMilliseconds = 200
const deadlineMilliseconds = 30_000

/** Asks a digits service 30 times a second, in bursts, whatever became of those before. */
export async function startOwnerLoad(url: string, options: { caPem: string; token: string }): Promise<OwnerLoad> {
  const [sample] = await heldOutDigits()
  const body = JSON.stringify({
    inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: sample?.image }],
  })
  const agent = new Agent({ connect: { ca: options.caPem }, connections: 128 })
  const outcomes: Outcome[] = []
  const running = new Set<Promise<unknown>>()
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${options.token}` }
  async function ask(): Promise<void> {
    const began = performance.now()
    const end = (status: number, owner: string | undefined, text: string) => {
      outcomes.push({ began, took: performance.now() - began, status, owner, text })
    }
    try {
      const signal = AbortSignal.timeout(deadlineMilliseconds)
      const answer = await request(`${url}/v2/models/digits/infer`, {
        dispatcher: agent,
        method: 'POST',
        headers,
        body,
        signal,
      })
      const text = await answer.body.text()
      const owner = answer.headers['x-hansa-owner']
      end(answer.statusCode, typeof owner === 'string' ? owner : undefined, text.slice(0, 200))
    } catch (error) {
      end(0, undefined, String(error))
    }
  }
  const timer = setInterval(() => {
    for (let i = 0; i < burst; i++) {
      const one = ask()
      running.add(one)
      void one.finally(() => running.delete(one))
    }
  }, everyMilliseconds)
  return {
    outcomes,
    async stop() {
      clearInterval(timer)
      await Promise.all(running)
      await agent.destroy()
    },
  }
}
