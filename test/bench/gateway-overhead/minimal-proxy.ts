import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { Pool } from 'undici'

// The least that can be called a proxy in Node: TLS in, mutual TLS out, bodies streamed both ways; no authentication, limits,
// deadlines, logs or metrics. Started by gateway-overhead.ts as `minimal-proxy.ts DIR PORT WORKER_URL`.
const [dir = '', port = '', worker = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`${dir}/${name}`, 'utf8')
const tls = { key: read('gateway.key'), cert: read('gateway.crt') }
const pool = new Pool(worker, {
  connect: { ...tls, ca: read('ca.pem'), checkServerIdentity: () => undefined },
  allowH2: false,
  connections: 256,
})
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host', 'authorization', 'expect'])

createServer({ ...tls, keepAliveTimeout: 120_000 }, (request, response) => {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !hopByHop.has(name)))
  pool.stream(
    {
      path: request.url ?? '/',
      method: request.method === 'POST' ? 'POST' : 'GET',
      headers,
      body: request.method === 'POST' ? request : null,
    },
    (answer) => {
      const { connection: _connection, 'keep-alive': _keepAlive, ...kept } = answer.headers
      response.writeHead(answer.statusCode, kept)
      return response
    },
    (error) => {
      if (error !== null) response.destroy()
    },
  )
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
