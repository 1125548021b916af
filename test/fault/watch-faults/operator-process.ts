import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type FaultProxy, startFaultProxy } from '../../cluster/fault-proxy/start.ts'
import type { Owner } from '../../cluster/owner.ts'
import { freePorts, releasePorts } from '../../cluster/ports.ts'
import { startTethered, type TetheredProcess } from '../../cluster/tethered-process.ts'

const root = resolve(import.meta.dirname, '../../..')

/** The real operator as a process, with its own service account's rights, behind a fault proxy of its own. */
export type OperatorReplica = {
  readonly name: string
  readonly proxy: FaultProxy
  /** `leaseSeconds`: of the election, by default what the operator has. */
  start(leaseSeconds?: number): void
  /** Waits until it says that it is ready. */
  ready(): Promise<void>
  /** Resolves when the process has ended. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  stop(): Promise<void>
}

/** Prepares a replica; nothing runs until `start`. */
export async function operatorReplica(
  owner: Owner,
  options: { readonly name: string; readonly namespace: string; readonly address: string },
): Promise<OperatorReplica> {
  const { name, namespace, address } = options
  const proxy = await startFaultProxy({ owner })
  const [caPort = 0, probesPort = 0] = await freePorts(2, address)
  const account = join(owner.dir, `${name}-account`)
  await mkdir(account, { recursive: true, mode: 0o700 })
  await writeFile(join(account, 'token'), await owner.createToken('hansa-operator', namespace, { seconds: 7_200 }))
  await writeFile(join(account, 'ca.crt'), proxy.caPem)
  await writeFile(join(account, 'namespace'), namespace)
  const logPath = join(owner.dir, `${name}.log`)
  let running: TetheredProcess | undefined

  async function kill(signal: NodeJS.Signals): Promise<void> {
    running?.signal(signal)
    await running?.exited
  }

  return {
    name,
    proxy,
    start(leaseSeconds) {
      const log = openSync(logPath, 'a')
      running = startTethered({
        command: process.execPath,
        args: [join(root, 'operator/src/main.ts'), 'operator'],
        stdout: log,
        stderr: log,
        env: {
          PATH: process.env.PATH,
          POD_NAME: name,
          POD_NAMESPACE: namespace,
          POD_IP: address,
          HANSA_TRUST_DOMAIN: 'cluster.hansa',
          HANSA_WORKER_IMAGE: 'registry.example/hansa/worker:1',
          HANSA_CA_URL: `https://hansa-operator.${namespace}.svc:9443`,
          // Nothing listens there: models are verified by the test itself.
          HANSA_FETCH_URL: 'https://127.0.0.1:1',
          HANSA_GATEWAY_URL: 'https://gateway.example',
          HANSA_SERVICE_ACCOUNT_DIR: account,
          HANSA_CA_PORT: String(caPort),
          HANSA_PROBES_PORT: String(probesPort),
          ...(leaseSeconds !== undefined && { HANSA_LEASE_SECONDS: String(leaseSeconds) }),
          KUBERNETES_SERVICE_HOST: '127.0.0.1',
          KUBERNETES_SERVICE_PORT: String(proxy.port),
        },
      })
      closeSync(log)
    },
    async ready() {
      const until = Date.now() + 60_000
      for (;;) {
        const answer = await fetch(`http://${address}:${probesPort}/readyz`).catch(() => undefined)
        if (answer?.ok) return
        if (running?.exit !== undefined || Date.now() > until) {
          const log = await readFile(logPath, 'utf8').catch(() => '')
          throw new Error(`the operator ${name} is not ready; the end of its log:\n${log.slice(-3_000)}`)
        }
        await new Promise((done) => setTimeout(done, 100))
      }
    },
    kill,
    async stop() {
      await kill('SIGKILL')
      await proxy.stop()
      releasePorts([caPort, probesPort])
    },
  }
}
