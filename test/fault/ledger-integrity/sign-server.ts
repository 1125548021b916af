import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SignServer = { url: string; close(): Promise<void> }

/** The operator's side of signing, for a ledger in another process: keys stay here. */
export async function startSignServer(
  sign: (identityName: string, body: unknown) => Promise<string>,
): Promise<SignServer> {
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const { identityName, body } = JSON.parse(Buffer.concat(chunks).toString())
      response.end(await sign(identityName, body))
    } catch (error) {
      response.statusCode = 503
      response.end(error instanceof Error ? error.message : String(error))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
