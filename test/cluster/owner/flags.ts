import { frontProxyName, type OwnerFolder } from './folder.ts'

export interface OwnerPorts {
  readonly apiserver: number
  readonly etcd: number
  readonly etcdPeer: number
  readonly controllerManager: number
  readonly scheduler: number
}

export interface NetworkRanges {
  readonly serviceClusterIpRange: string
  readonly nodePortRange: string
}

/** The issuer of every owner's service account tokens; only the keys differ, as between real clusters. */
export const serviceAccountIssuer = 'https://kubernetes.default.svc'

export function etcdFlags(folder: OwnerFolder, ports: OwnerPorts): string[] {
  const peerUrl = `https://127.0.0.1:${ports.etcdPeer}`
  return [
    '--name=default',
    `--data-dir=${folder.file('etcd')}`,
    `--listen-client-urls=${etcdUrl(ports)}`,
    `--advertise-client-urls=${etcdUrl(ports)}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    ...etcdTls(folder, ''),
    ...etcdTls(folder, 'peer-'),
    // Survives a kill of the process, though not of the machine.
    '--unsafe-no-fsync',
    '--quota-backend-bytes=4294967296',
    '--log-level=warn',
  ]
}

export function apiserverFlags(folder: OwnerFolder, ports: OwnerPorts, ranges: NetworkRanges): string[] {
  return [
    `--etcd-servers=${etcdUrl(ports)}`,
    `--etcd-cafile=${folder.file('pki/etcd-ca.crt')}`,
    `--etcd-certfile=${folder.file('pki/etcd-client.crt')}`,
    `--etcd-keyfile=${folder.file('pki/etcd-client.key')}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${ports.apiserver}`,
    // A loopback address is no valid endpoint, so the `kubernetes` service stays without one.
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${folder.file('pki/apiserver.crt')}`,
    `--tls-private-key-file=${folder.file('pki/apiserver.key')}`,
    `--client-ca-file=${folder.file('pki/ca.crt')}`,
    `--kubelet-client-certificate=${folder.file('pki/kubelet-client.crt')}`,
    `--kubelet-client-key=${folder.file('pki/kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP,Hostname',
    // For aggregated API servers, as every common distribution sets them.
    `--requestheader-client-ca-file=${folder.file('pki/front-proxy-ca.crt')}`,
    `--requestheader-allowed-names=${frontProxyName}`,
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${folder.file('pki/front-proxy-client.crt')}`,
    `--proxy-client-key-file=${folder.file('pki/front-proxy-client.key')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--service-account-issuer=${serviceAccountIssuer}`,
    `--service-account-jwks-uri=https://127.0.0.1:${ports.apiserver}/openid/v1/jwks`,
    `--service-account-key-file=${folder.file('pki/sa.pub')}`,
    `--service-account-signing-key-file=${folder.file('pki/sa.key')}`,
    `--service-cluster-ip-range=${ranges.serviceClusterIpRange}`,
    `--service-node-port-range=${ranges.nodePortRange}`,
    '--allow-privileged=true',
    '--profiling=false',
    // Without it a stop waits a minute for watches that nobody ends.
    '--shutdown-watch-termination-grace-period=1s',
  ]
}

export function controllerManagerFlags(folder: OwnerFolder, ports: OwnerPorts): string[] {
  return [
    ...clientFlags(folder, 'controller-manager', ports.controllerManager),
    `--root-ca-file=${folder.file('pki/ca.crt')}`,
    `--client-ca-file=${folder.file('pki/ca.crt')}`,
    `--service-account-private-key-file=${folder.file('pki/sa.key')}`,
    `--cluster-signing-cert-file=${folder.file('pki/ca.crt')}`,
    `--cluster-signing-key-file=${folder.file('pki/ca.key')}`,
    '--use-service-account-credentials=true',
    '--allocate-node-cidrs=false',
    `--flex-volume-plugin-dir=${folder.file('home')}`,
    // The defaults (20 and 30) make five hundred Deployments a matter of minutes.
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ]
}

export function schedulerFlags(folder: OwnerFolder, ports: OwnerPorts): string[] {
  return [
    ...clientFlags(folder, 'scheduler', ports.scheduler),
    `--client-ca-file=${folder.file('pki/ca.crt')}`,
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ]
}

export function etcdUrl(ports: OwnerPorts): string {
  return `https://127.0.0.1:${ports.etcd}`
}

function etcdTls(folder: OwnerFolder, prefix: '' | 'peer-'): string[] {
  return [
    `--${prefix}cert-file=${folder.file('pki/etcd.crt')}`,
    `--${prefix}key-file=${folder.file('pki/etcd.key')}`,
    `--${prefix}trusted-ca-file=${folder.file('pki/etcd-ca.crt')}`,
    `--${prefix}client-cert-auth`,
  ]
}

function clientFlags(folder: OwnerFolder, name: string, port: number): string[] {
  const kubeconfig = folder.file(`${name}.kubeconfig`)
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${folder.file(`pki/${name}.crt`)}`,
    `--tls-private-key-file=${folder.file(`pki/${name}.key`)}`,
    // One replica each; an election would only delay their restart.
    '--leader-elect=false',
  ]
}
