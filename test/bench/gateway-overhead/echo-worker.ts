import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

// Stands in for a worker: mutual TLS, and the body sent back. Started by gateway-overhead.ts as `echo-worker.ts DIR ADDRESS PORT`.
const [dir = '', address = '', port = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`${dir}/${name}`, 'utf8')

createServer(
  {
    key: read('worker.key'),
    cert: read('worker.crt'),
    ca: read('ca.pem'),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    keepAliveTimeout: 120_000,
  },
  (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
      response.end(body)
    })
  },
).listen(Number(port), address, () => process.stdout.write('ready\n'))
