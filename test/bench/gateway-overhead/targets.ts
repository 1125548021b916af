import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { storeCredentials } from '@hansa/operator/identity/stored-credentials.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
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

/** Starts the worker stand-in, the three proxies and the load generator, each as a process of its own. */
export async function startTargets(dir: string): Promise<Targets> {
  await access(nginxBinary).catch(() => {
    throw new Error(
      'nginx is missing; install it with: apt-get install nginx-light (Debian, Ubuntu), then run this again',
    )
  })
  const children: ChildProcess[] = []
  const [workerPort, minimalPort, nginxPort, gatewayPort, probesPort, nowhere] = await freePorts(6)
  const token = await prepareFiles(dir)
  const path = `/${namespace}/${service}/v2/models/${service}/infer`
  const workerUrl = `https://${workerAddress}:${workerPort}`

  async function stop(): Promise<void> {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, 'exit')
        child.kill('SIGTERM')
        const overdue = setTimeout(() => child.kill('SIGKILL'), 3000)
        await exited
        clearTimeout(overdue)
      }),
    )
  }

  async function start(
    file: string,
    args: string[],
    env: Record<string, string> = {},
    ready = 'ready',
  ): Promise<ChildProcess> {
    const child = spawn(process.execPath, [file, ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    await untilOutput(child, ready)
    return child
  }

  try {
    await start(resolve(here, 'echo-worker.ts'), [dir, workerAddress, `${workerPort}`])
    const minimal = await start(resolve(here, 'minimal-proxy.ts'), [dir, `${minimalPort}`, workerUrl])
    const nginx = await startNginx(dir, nginxPort, workerUrl, children)
    const gateway = await startGatewayProcess(dir, { gatewayPort, probesPort, workerPort, nowhere }, children)
    const load = fork(resolve(here, 'load.ts'), [dir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    children.push(load)
    await once(load, 'message')
    return {
      targets: [
        { name: 'direct', url: workerUrl, pid: undefined, mutualTls: true },
        { name: 'minimal', url: `https://127.0.0.1:${minimalPort}`, pid: minimal.pid, mutualTls: false },
        { name: 'nginx', url: `https://127.0.0.1:${nginxPort}`, pid: nginx.pid, mutualTls: false },
        { name: 'gateway', url: `https://127.0.0.1:${gatewayPort}`, pid: gateway.pid, mutualTls: false },
      ],
      token,
      path,
      load: async (command) => {
        load.send(command)
        const [result] = await once(load, 'message', { signal: AbortSignal.timeout((command.seconds + 30) * 1000) })
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

/** The real thing: `main.ts gateway` with its defaults, from its state folder, while the API server cannot be reached. */
async function startGatewayProcess(
  dir: string,
  ports: { gatewayPort: number; probesPort: number; workerPort: number; nowhere: number },
  children: ChildProcess[],
): Promise<ChildProcess> {
  const main = resolve(here, '../../../operator/src/main.ts')
  const child = spawn(process.execPath, [main, 'gateway'], {
    cwd: dir,
    env: {
      PATH: process.env.PATH ?? '',
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
      HANSA_PROBES_PORT: `${ports.probesPort}`,
      HANSA_WORKER_PORT: `${ports.workerPort}`,
      HANSA_LAME_DUCK_SECONDS: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const log = createWriteStream(`${dir}/gateway.log`)
  child.stdout?.pipe(log)
  await untilOutput(child, 'gateway listens')
  return child
}

// Streaming both ways as we do; its access log is on, as it is after Debian's installation.
async function startNginx(
  dir: string,
  port: number,
  workerUrl: string,
  children: ChildProcess[],
): Promise<ChildProcess> {
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
  const child = spawn(nginxBinary, ['-c', `${dir}/nginx.conf`, '-p', `${dir}/nginx`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  children.push(child)
  const until = performance.now() + 5000
  while (!(await accepts(port))) {
    if (performance.now() > until || child.exitCode !== null) throw new Error('nginx did not start')
    await new Promise((again) => setTimeout(again, 50))
  }
  return child
}

async function accepts(port: number): Promise<boolean> {
  const { connect } = await import('node:net')
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1', () => answer(true))
    socket.on('error', () => answer(false))
    socket.on('connect', () => socket.destroy())
  })
}

async function untilOutput(child: ChildProcess, words: string): Promise<void> {
  let seen = ''
  await new Promise<void>((found, failed) => {
    const overdue = setTimeout(() => failed(new Error(`no "${words}" within 20 s: ${seen.slice(-500)}`)), 20_000)
    child.once('exit', (code) => failed(new Error(`ended with ${code}: ${seen.slice(-500)}`)))
    child.stdout?.on('data', function read(chunk: Buffer) {
      seen += chunk.toString()
      if (!seen.includes(words)) return
      clearTimeout(overdue)
      child.stdout?.off('data', read)
      child.removeAllListeners('exit')
      found()
    })
  })
  child.stdout?.resume()
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
