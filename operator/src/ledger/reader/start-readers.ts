import { Authenticator } from '../../gateway/auth/authenticator.ts'
import { IssuerKeys } from '../../gateway/auth/issuer-keys.ts'
import { clusterKeySource } from '../../gateway/auth/key-source.ts'
import type { KubeClient } from '../../kube/client-types.ts'
import { auditorAudience, type ReaderServerDeps, serveReaders } from './serve-readers.ts'

export type StartReadersDeps = Omit<ReaderServerDeps, 'authenticator'> & {
  client: KubeClient
  /** Where the keys of the cluster's issuer are kept, for while the API server is away. */
  stateDir: string
  random: () => number
}

/** Serves auditors, whose tokens are checked by the keys of the cluster's own issuer. */
export async function startReaders(deps: StartReadersDeps): Promise<{ url: string; close(): Promise<void> }> {
  const { client, stateDir, clock, log, random } = deps
  const source = clusterKeySource(client, auditorAudience)
  const keys = new IssuerKeys({ source, stateDir, maxStaleSeconds: 3600, clock, log, random })
  const stopping = new AbortController()
  await keys.restore()
  const fresh = keys.keepFresh(stopping.signal)
  const server = await serveReaders({ ...deps, authenticator: new Authenticator({ issuers: [keys], clock }) })
  return {
    url: server.url,
    close: async () => {
      stopping.abort()
      await server.close()
      await fresh
    },
  }
}
