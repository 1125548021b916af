import { readFileSync } from 'node:fs'
import { Pool } from 'undici'

/** One stretch of load: `rate` requests a second on a fixed schedule, or as many as `concurrency` allows when there is none. */
export type LoadCommand = {
  url: string
  path: string
  authorization: string | undefined
  mutualTls: boolean
  bodyBytes: number
  seconds: number
  concurrency: number
  rate: number | undefined
}

/** Latencies in milliseconds, sorted, of the requests that were answered 200 with a body of the right size. */
export type LoadResult = { latencies: number[]; failed: number; seconds: number; problem: string | undefined }

// Its own process, so that making load costs the measured processes nothing. Started by gateway-overhead.ts as `load.ts DIR`.
const [dir = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`${dir}/${name}`, 'utf8')
const pools = new Map<string, Pool>()

function poolFor({ url, mutualTls }: LoadCommand): Pool {
  const existing = pools.get(url)
  if (existing !== undefined) return existing
  const pool = new Pool(url, {
    connect: {
      ca: read('ca.pem'),
      checkServerIdentity: () => undefined,
      // One suite for all, so that nobody wins by a cheaper cipher.
      ciphers: 'TLS_AES_128_GCM_SHA256',
      minVersion: 'TLSv1.3',
      ...(mutualTls ? { key: read('gateway.key'), cert: read('gateway.crt') } : {}),
    },
    allowH2: false,
    connections: 64,
    keepAliveTimeout: 60_000,
  })
  pools.set(url, pool)
  return pool
}

function run(command: LoadCommand): Promise<LoadResult> {
  const pool = poolFor(command)
  const body = Buffer.alloc(command.bodyBytes, 7)
  const headers = {
    'content-type': 'application/octet-stream',
    ...(command.authorization === undefined ? {} : { authorization: command.authorization }),
  }
  const result: LoadResult = { latencies: [], failed: 0, seconds: 0, problem: undefined }
  const began = performance.now()
  const until = began + command.seconds * 1000
  let underWay = 0
  let sent = 0

  return new Promise((resolve) => {
    const fail = (problem: string) => {
      result.failed += 1
      result.problem ??= problem
    }
    const one = () => {
      underWay += 1
      sent += 1
      const start = performance.now()
      let status = 0
      let bytes = 0
      let words = ''
      pool.dispatch(
        { path: command.path, method: 'POST', headers, body },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_controller, code) => {
            status = code
          },
          onResponseData: (_controller, chunk) => {
            bytes += chunk.length
            if (status !== 200) words += chunk.toString()
          },
          onResponseEnd: () => {
            if (status === 200 && bytes === command.bodyBytes) result.latencies.push(performance.now() - start)
            else fail(`status ${status}, ${bytes} bytes ${words.slice(0, 200)}`)
            ended()
          },
          onResponseError: (_controller, error) => {
            fail(error.message)
            ended()
          },
        },
      )
    }
    const ended = () => {
      underWay -= 1
      const now = performance.now()
      if (now < until) {
        if (command.rate === undefined) one()
      } else if (underWay === 0) {
        clearInterval(timer)
        result.seconds = (now - began) / 1000
        result.latencies.sort((a, b) => a - b)
        resolve(result)
      }
    }
    const tick = () => {
      if (command.rate === undefined) return
      const now = performance.now()
      const due = Math.min(((Math.min(now, until) - began) / 1000) * command.rate, sent + 50)
      while (sent < due) one()
      if (now >= until && underWay === 0) {
        underWay += 1
        ended()
      }
    }
    const timer = setInterval(tick, 1)
    if (command.rate === undefined) for (let i = 0; i < command.concurrency; i += 1) one()
  })
}

// The parent is this program's only peer; it sends nothing but LoadCommand.
process.on('message', async (command: LoadCommand) => process.send?.(await run(command)))
process.on('disconnect', () => process.exit())
process.send?.('ready')
