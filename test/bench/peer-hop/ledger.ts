import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'

// Stands in for a ledger: mutual TLS, and every batch taken. Started by side.ts as `ledger.ts DIR`; says its port.
const [dir = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`${dir}/${name}`, 'utf8')

const server = createServer(
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
      // Written by our own gateway.
      const { first, records } = JSON.parse(Buffer.concat(chunks).toString()) as { first: number; records: unknown[] }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ next: first + records.length, stopped: [] }))
    })
  },
)
// listen with a port always gives an AddressInfo.
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
