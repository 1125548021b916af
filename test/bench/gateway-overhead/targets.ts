import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { resolve } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { storeCredentials } from '@hansa/operator/identity/stored-credentials.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startTethered, type TetheredProcess } from '../../cluster/tethered-process.ts'
import type { LoadCommand, LoadResult } from './load.ts'

export type Target = {
  name: 'direct' | 'minimal' | 'nginx' | 'gateway'
  url: string
  pid: number | undefined
  mutualTls: boolean
}

export type Targets = {
  targets: Target[]
  token: string
  path: string
  load(command: LoadCommand): Promise<LoadResult>
  stop(): Promise<void>
}

const trustDomain = 'bench.hansa'
const namespace = 'bench'
const service = 'echo'
const workerAddress = '127.0.0.2'
const here = import.meta.dirname
const nginxBinary = '/usr/sbin/nginx'

/** Starts the worker stand-in, the three proxies and the load generator, each as a process of its own that dies with this one. */
export async function startTargets(dir: string): Promise<Targets> {
  await access(nginxBinary).catch(() => {
    throw new Error(
      'nginx is missing; install it with: apt-get install nginx-light (Debian, Ubuntu), then run this again',
    )
  })
  const [workerPort, minimalPort, nginxPort, gatewayPort, probesPort, nowhere] = await freePorts(6)
  const token = await prepareFiles(dir)
  const workerUrl = `https://${workerAddress}:${workerPort}`
  await writeNginxConfig(dir, nginxPort, workerUrl)
  const running: TetheredProcess[] = []
  let load: ChildProcess | undefined

  async function start(
    name: string,
    command: string,
    args: string[],
    env: Record<string, string>,
    at: [string, number],
  ) {
    const output = await open(`${dir}/${name}.log`, 'w')
    const started = startTethered({
      command,
      args,
      cwd: dir,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdout: output.fd,
      stderr: output.fd,
    })
    running.push(started)
    await output.close()
    const until = performance.now() + 20_000
    while (!(await accepts(...at))) {
      if (performance.now() > until || started.exit !== undefined) {
        throw new Error(`${name} did not start: ${(await readFile(`${dir}/${name}.log`, 'utf8')).slice(-500)}`)
      }
      await new Promise((again) => setTimeout(again, 50))
    }
    return started.pid
  }

  async function stop(): Promise<void> {
    load?.kill('SIGKILL')
    await Promise.all(
      running.map(async (each) => {
        each.signal('SIGTERM')
        const overdue = setTimeout(() => each.killGroup(), 3000)
        await each.exited.catch(() => undefined)
        clearTimeout(overdue)
      }),
    )
  }

  try {
    const node = process.execPath
    const address = `${workerAddress}`
    await start('worker', node, [resolve(here, 'echo-worker.ts'), dir, address, `${workerPort}`], {}, [
      address,
      workerPort,
    ])
    const minimalArgs = [resolve(here, 'minimal-proxy.ts'), dir, `${minimalPort}`, workerUrl]
    const minimal = await start('minimal', node, minimalArgs, {}, ['127.0.0.1', minimalPort])
    const nginxArgs = ['-c', `${dir}/nginx.conf`, '-p', `${dir}/nginx`]
    const nginx = await start('nginx', nginxBinary, nginxArgs, {}, ['127.0.0.1', nginxPort])
    const env = gatewayEnv(dir, { gatewayPort, probesPort, workerPort, nowhere })
    const gatewayArgs = [resolve(here, '../../../operator/src/main.ts'), 'gateway']
    const gateway = await start('gateway', node, gatewayArgs, env, ['127.0.0.1', gatewayPort])
    const generator = fork(resolve(here, 'load.ts'), [dir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    load = generator
    await once(generator, 'message')
    return {
      targets: [
        { name: 'direct', url: workerUrl, pid: undefined, mutualTls: true },
        { name: 'minimal', url: `https://127.0.0.1:${minimalPort}`, pid: minimal, mutualTls: false },
        { name: 'nginx', url: `https://127.0.0.1:${nginxPort}`, pid: nginx, mutualTls: false },
        { name: 'gateway', url: `https://127.0.0.1:${gatewayPort}`, pid: gateway, mutualTls: false },
      ],
      token,
      path: `/${namespace}/${service}/v2/models/${service}/infer`,
      load: async (command) => {
        generator.send(command)
        const [result] = await once(generator, 'message', {
          signal: AbortSignal.timeout((command.seconds + 30) * 1000),
        })
        // load.ts answers each LoadCommand with one LoadResult.
        return result as LoadResult
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Certificates of one authority for everyone, and the state that lets the real gateway start without an API server. */
async function prepareFiles(dir: string): Promise<string> {
  const authority = await createAuthority({ trustDomain })
  const worker = await issueCredentials(authority, spiffe(trustDomain, namespace, `${service}-worker`), {
    dnsNames: ['worker.bench'],
  })
  const names = [
    'hansa-gateway.hansa-system',
    'hansa-gateway.hansa-system.svc',
    'hansa-gateway.hansa-system.svc.cluster.local',
  ]
  const gateway = await issueCredentials(authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway'), {
    dnsNames: [...names, '127.0.0.1'],
  })
  const state = `${dir}/state`
  const account = `${dir}/account`
  await mkdir(account, { recursive: true })
  await storeCredentials(state, gateway)
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }
  const issuer = 'https://kubernetes.default.svc.cluster.local'
  const route = {
    namespace,
    service,
    serviceAccounts: [`${namespace}:caller`],
    oidc: [],
    requestSeconds: 60,
    requestBytes: 67_108_864,
    responseBytes: 67_108_864,
    inFlight: 1000,
    suspended: false,
    endpoints: [{ address: workerAddress, pod: 'echo-1', revision: 'r1', percent: 100 }],
  }
  await Promise.all([
    writeFile(`${dir}/ca.pem`, authority.caPem),
    writeFile(`${dir}/worker.key`, worker.keyPem),
    writeFile(`${dir}/worker.crt`, worker.certPem),
    writeFile(`${dir}/gateway.key`, gateway.keyPem),
    writeFile(`${dir}/gateway.crt`, gateway.certPem),
    writeFile(`${state}/routes.json`, JSON.stringify({ version: 1, savedAt: Date.now(), routes: [route] })),
    writeFile(`${state}/jwks-cluster.json`, JSON.stringify({ issuer, fetchedAt: Date.now(), jwks: { keys: [key] } })),
    writeFile(`${account}/token`, 'none'),
    writeFile(`${account}/ca.crt`, authority.caPem),
    writeFile(`${account}/namespace`, 'hansa-system'),
  ])
  // As large as a bound service account token.
  return new SignJWT({
    'kubernetes.io': {
      namespace,
      pod: { name: 'x'.repeat(40), uid: 'x'.repeat(36) },
      serviceaccount: { name: 'caller', uid: 'x'.repeat(36) },
    },
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
    .setIssuer(issuer)
    .setAudience('hansa')
    .setSubject(`system:serviceaccount:${namespace}:caller`)
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('1h')
    .sign(privateKey)
}

/** For the real thing, `main.ts gateway` with its defaults, from its state folder, while the API server cannot be reached. */
function gatewayEnv(
  dir: string,
  ports: { gatewayPort: number; probesPort: number; workerPort: number; nowhere: number },
): Record<string, string> {
  return {
    // As the chart sets it.
    NODE_OPTIONS: '--max-semi-space-size=4',
    POD_NAME: 'gateway-1',
    POD_NAMESPACE: 'hansa-system',
    POD_IP: '127.0.0.1',
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: `${ports.nowhere}`,
    HANSA_SERVICE_ACCOUNT_DIR: `${dir}/account`,
    HANSA_STATE_DIR: `${dir}/state`,
    HANSA_TRUST_DOMAIN: trustDomain,
    HANSA_CA_URL: `https://127.0.0.1:${ports.nowhere}`,
    HANSA_CA_FILE: `${dir}/ca.pem`,
    HANSA_CA_TOKEN_FILE: `${dir}/account/token`,
    HANSA_GATEWAY_DNS_NAMES: '127.0.0.1',
    HANSA_GATEWAY_PORT: `${ports.gatewayPort}`,
    HANSA_GATEWAY_INTERNAL_PORT: '0',
    HANSA_GATEWAY_GRPC_PORT: '0',
    HANSA_PROBES_PORT: `${ports.probesPort}`,
    HANSA_WORKER_PORT: `${ports.workerPort}`,
    HANSA_LAME_DUCK_SECONDS: '0',
  }
}

// Streaming both ways as we do; its access log is on, as it is after Debian's installation.
async function writeNginxConfig(dir: string, port: number, workerUrl: string): Promise<void> {
  await mkdir(`${dir}/nginx`)
  await writeFile(
    `${dir}/nginx.conf`,
    `worker_processes 1;
daemon off;
pid ${dir}/nginx/nginx.pid;
error_log ${dir}/nginx/error.log;
events { worker_connections 1024; }
http {
  access_log ${dir}/nginx/access.log;
  client_body_temp_path ${dir}/nginx/body; proxy_temp_path ${dir}/nginx/proxy; fastcgi_temp_path ${dir}/nginx/f; uwsgi_temp_path ${dir}/nginx/u; scgi_temp_path ${dir}/nginx/s;
  client_max_body_size 64m;
  client_body_buffer_size 64k;
  keepalive_requests 1000000;
  upstream worker { server ${workerUrl.replace('https://', '')}; keepalive 256; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${dir}/gateway.crt;
    ssl_certificate_key ${dir}/gateway.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass https://worker;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_buffer_size 64k;
      proxy_buffers 8 64k;
      proxy_busy_buffers_size 128k;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_certificate ${dir}/gateway.crt;
      proxy_ssl_certificate_key ${dir}/gateway.key;
      proxy_ssl_trusted_certificate ${dir}/ca.pem;
      proxy_ssl_verify on;
      proxy_ssl_name worker.bench;
    }
  }
}
`,
  )
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, address, () => {
      socket.destroy()
      answer(true)
    })
    socket.on('error', () => answer(false))
  })
}

async function freePorts(count: number): Promise<[number, number, number, number, number, number]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(async (server) => once(server.close(), 'close')))
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = ports
  return [a, b, c, d, e, f]
}
