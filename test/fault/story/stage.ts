import { isLastingWrite, type RequestFacts } from '../../cluster/fault-proxy/request-facts.ts'
import { type FaultProxy, startFaultProxy } from '../../cluster/fault-proxy/start.ts'
import { type Installation, startInstallation, systemNamespace } from '../../cluster/hansa/installation.ts'

/** An installation whose pods reach the API server through a fault proxy, with one operator that takes over within seconds. */
export type Stage = {
  installation: Installation
  proxy: FaultProxy
  killOperator(): Promise<void>
  stop(): Promise<void>
}

export async function startStage(name: string, report: (line: string) => void): Promise<Stage> {
  let proxy: FaultProxy | undefined
  const installation = await startInstallation({
    name,
    nodes: 1,
    log: report,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1', 'operator.leaseSeconds': '5' },
    podServerUrl: async (owner) => {
      proxy = await startFaultProxy({ owner })
      return proxy.url
    },
  })
  if (proxy === undefined) throw new Error('the fault proxy was not started')
  const started = proxy
  return {
    installation,
    proxy: started,
    killOperator: () => killOperator(installation),
    stop: async () => {
      await installation.stop()
      await started.stop()
    },
  }
}

/** Kills the operator's process and its pod object, so that the next one starts at once, without a kubelet's back-off. */
async function killOperator({ nodes, owner }: Installation): Promise<void> {
  for (const node of nodes) {
    for (const pod of node.pods()) {
      if (pod.namespace !== systemNamespace || !pod.name.startsWith('hansa-operator-')) continue
      if (!node.killContainer(pod.namespace, pod.name, 'operator', 'SIGKILL')) continue
      void owner.kubectl(['delete', 'pod', pod.name, '-n', pod.namespace, '--grace-period=0', '--force'])
    }
  }
}

/** Whether a request is one of the operator's lasting writes into that namespace. */
export function isOperatorWrite(facts: RequestFacts, namespace: string): boolean {
  return facts.userAgent.startsWith('hansa-operator') && facts.namespace === namespace && isLastingWrite(facts)
}
