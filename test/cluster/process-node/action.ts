import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { checkGrpcHealth } from './grpc-health.ts'
import type { Action, ContainerSpec } from './kube-types.ts'

export interface ActionContext {
  readonly podIp: string
  readonly container: ContainerSpec
  /** Runs a command beside the container's process and resolves to its exit code. */
  exec(command: readonly string[], signal: AbortSignal): Promise<number>
}

/** Carries out a probe's or hook's action; resolves to what is wrong, undefined when all is well. */
export async function runAction(
  action: Action,
  context: ActionContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { exec, httpGet, tcpSocket, grpc, sleep: pause } = action
  try {
    if (exec) {
      const code = await context.exec(exec.command ?? [], signal)
      return code === 0 ? undefined : signal.aborted ? 'command timed out' : `command exited with code ${code}`
    }
    if (httpGet) return await httpStatus(httpGet, context, signal)
    if (tcpSocket) return await dial(tcpSocket.host ?? context.podIp, portOf(tcpSocket.port, context.container), signal)
    if (grpc) return await checkGrpcHealth(`${context.podIp}:${grpc.port}`, grpc.service ?? '', signal)
    if (pause) await sleep(pause.seconds * 1_000, undefined, { signal })
    return undefined
  } catch (error) {
    return signal.aborted ? 'timeout' : messageOf(error)
  }
}

/** The number of a port given by number or by name. */
export function portOf(port: number | string, container: ContainerSpec): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find(({ name }) => name === port)?.containerPort
  const number = named ?? Number(port)
  if (!(number > 0)) throw new Error(`container ${container.name} has no port ${port}`)
  return number
}

function httpStatus(
  get: NonNullable<Action['httpGet']>,
  { podIp, container }: ActionContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  const secure = get.scheme === 'HTTPS'
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.36', accept: '*/*' }
  for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value
  const options = {
    host: get.host ?? podIp,
    port: portOf(get.port, container),
    path: get.path ?? '/',
    headers,
    signal,
    agent: false as const,
    rejectUnauthorized: false, // as a kubelet: probes ask whether a container lives, not who it is
  }
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(options, (response) => {
      const status = response.statusCode ?? 0
      response.destroy()
      resolve(status >= 200 && status < 400 ? undefined : `HTTP probe failed with statuscode: ${status}`)
    })
    request.once('error', reject)
    request.end()
  })
}

function dial(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
  })
}
