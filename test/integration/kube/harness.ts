import { setTimeout as pause } from 'node:timers/promises'
import { type ClientLimits, createClient } from '@hansa/operator/kube/client.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import { createLogger, type Logger } from '@hansa/operator/process/log.ts'
import type { FaultProxy } from '../../cluster/fault-proxy/start.ts'
import type { Owner } from '../../cluster/owner.ts'

/** A log for tests; set HANSA_LOG_LEVEL to see it. */
export const testLog: Logger = createLogger('test', process.env.HANSA_LOG_LEVEL ?? 'silent')

/** A client for the kubeconfig at `path`. */
export async function clientFor(path: string, userAgent: string, limits: ClientLimits = {}): Promise<KubeClient> {
  return createClient({ cluster: await clusterFromKubeConfig({ path }), userAgent, limits })
}

/** Makes an administrator whose token passes the proxy, and returns the path of a kubeconfig that leads through it. */
export async function adminThrough(owner: Owner, proxy: FaultProxy): Promise<string> {
  const name = 'toolkit-admin'
  const account = `default:${name}`
  await owner.kubectl(['create', 'serviceaccount', name, '-n', 'default'])
  const binding = ['create', 'clusterrolebinding', name, '--clusterrole=cluster-admin', `--serviceaccount=${account}`]
  await owner.kubectl(binding)
  return proxy.kubeconfig({ serviceAccount: name, namespace: 'default' })
}

/** Waits until `check` returns something other than undefined or false; fails with `what` after the time. */
export async function eventually<R>(
  what: string,
  check: () => R | Promise<R>,
  milliseconds = 20_000,
): Promise<Exclude<R, undefined | false>> {
  const until = performance.now() + milliseconds
  for (;;) {
    const result = await check()
    // Both are excluded by the test just made.
    if (result !== undefined && result !== false) return result as Exclude<R, undefined | false>
    if (performance.now() > until) throw new Error(`not within ${milliseconds} ms: ${what}`)
    await pause(50)
  }
}
