import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import {
  caller,
  eventually,
  inferenceService,
  startRig,
  trustDomain,
  workerPod,
} from '../integration/gateway/gateway-under-test.ts'
import { startWorker } from '../integration/serve/worker.ts'
import { limitBytes, models, type ServiceName } from './services.ts'
import { gatewayTarget, type Target, workerTarget } from './target.ts'

const namespace = 'apps'
const limits = { requestBytes: limitBytes, responseBytes: limitBytes, queueDepth: 64, inFlight: 64 }

/** A gateway, and for each service in turn a worker behind it; real but for the API server, which is scripted. */
export type Stage = {
  /** Runs `work` against a worker of the service and against the gateway in front of it. */
  withService(service: ServiceName, work: (targets: readonly Target[]) => Promise<void>): Promise<void>
  close(): Promise<void>
}

export async function startStage(): Promise<Stage> {
  const services = Object.keys(models).map((name) =>
    inferenceService(name, namespace, { access: { serviceAccounts: [caller] }, limits }),
  )
  const rig = await startRig({ services })
  const gatewayUri = spiffe(trustDomain, 'hansa-system', 'hansa-gateway')
  const asGateway = await memoryIdentity(rig.authority, gatewayUri)
  let token: Promise<string> | undefined
  const gateway = gatewayTarget(
    {
      url: rig.gateway.url.replace('127.0.0.1', 'localhost'),
      grpcAddress: `localhost:${new URL(rig.gateway.grpcUrl).port}`,
    },
    {
      caPem: rig.authority.caPem,
      namespace,
      token: () => {
        token ??= rig.token()
        return token
      },
    },
  )
  let address = 0
  return {
    withService: async (service, work) => {
      const model = models[service]
      if (model === undefined) throw new Error(`there is no model for ${service}`)
      address += 1
      const podIp = `127.0.90.${address}`
      const uri = spiffe(trustDomain, namespace, `${service}-worker`)
      const worker = await startWorker(model(), {
        modelName: service,
        limits,
        mtls: { identity: await memoryIdentity(rig.authority, uri), gatewayUri },
        env: {
          POD_IP: podIp,
          HANSA_SERVE_PORT: String(rig.settings.workerPort),
          HANSA_GRPC_PORT: String(rig.settings.workerGrpcPort),
          HANSA_LAMEDUCK_SECONDS: '0',
        },
      })
      const direct = workerTarget(worker, asGateway, uri)
      try {
        rig.cluster.pods = [workerPod(service, namespace, podIp)]
        rig.cluster.changed()
        await eventually(async () => {
          const metrics = await rig.registry.metrics()
          const wanted = `hansa_gateway_ready_workers{namespace="${namespace}",service="${service}"} 1`
          if (!metrics.includes(wanted)) throw new Error('the worker is not routed yet')
        })
        await work([direct, gateway])
      } finally {
        await direct.close()
        await worker.close()
      }
    },
    close: async () => {
      await gateway.close()
      await rig.stop()
    },
  }
}
