import { Agent, request } from 'undici'
import { heldOutDigits } from '../../demo/ask.ts'

export type Load = {
  /** Ends the load and tells how often the service answered, and which other answers there were. */
  stop(): Promise<{ ok: number; other: Record<string, number> }>
}

/** Users who ask a digits service again and again, each for 64 pictures, without a pause. */
export async function startLoad(options: { url: string; caPem: string; token: string; users: number }): Promise<Load> {
  const { url, users } = options
  const agent = new Agent({
    // The address of one gateway is in no certificate; its name is.
    connect: { ca: options.caPem, servername: 'hansa-gateway.hansa-system.svc' },
    connections: users,
  })
  const images = (await heldOutDigits()).slice(0, 64)
  const body = JSON.stringify({
    inputs: [
      {
        ...{ name: 'image', datatype: 'FP32', shape: [images.length, 64] },
        data: images.flatMap(({ image }) => image),
      },
    ],
  })
  const counts = { ok: 0, other: new Map<string, number>() }
  const stopping = new AbortController()

  async function user(): Promise<void> {
    while (!stopping.signal.aborted) {
      let outcome: string
      try {
        const answer = await request(`${url}/v2/models/${url.split('/').at(-1)}/infer`, {
          dispatcher: agent,
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${options.token}` },
          body,
        })
        const text = await answer.body.text()
        outcome = answer.statusCode === 200 ? 'ok' : `${answer.statusCode} ${text.slice(0, 100)}`
      } catch (error) {
        outcome = error instanceof Error ? error.message : String(error)
      }
      if (outcome === 'ok') counts.ok += 1
      else counts.other.set(outcome, (counts.other.get(outcome) ?? 0) + 1)
    }
  }

  const running = Promise.all(Array.from({ length: users }, user))
  return {
    async stop() {
      stopping.abort()
      await running
      await agent.destroy()
      return { ok: counts.ok, other: Object.fromEntries(counts.other) }
    },
  }
}
