import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CertificateAuthority, createAuthority, createSigningKey, type KeyAndCertificate } from './certificates.ts'
import { writeKubeconfig } from './kubeconfig.ts'

/** Where everything of one owner lies; all paths are absolute. */
export interface OwnerFolder {
  readonly path: string
  readonly authority: CertificateAuthority
  readonly admin: KeyAndCertificate
  readonly etcdClient: KeyAndCertificate
  readonly etcdCaPem: string
  /** Signs the certificate by which the API server shows itself to aggregated API servers. */
  readonly frontProxyCaPem: string
  /** The path of a file in it. */
  file(name: string): string
}

export interface OwnerAddresses {
  readonly name: string
  readonly serverUrl: string
  readonly apiServiceAddress: string
}

/** Fills an owner's folder with keys, certificates and kubeconfigs. */
export async function prepareFolder(path: string, addresses: OwnerAddresses): Promise<OwnerFolder> {
  const file = (name: string) => join(path, name)
  await Promise.all(['etcd', 'pki', 'logs', 'home'].map((name) => mkdir(file(name), { recursive: true, mode: 0o700 })))
  const [authority, etcdAuthority, frontProxyAuthority, signingKey] = await Promise.all([
    createAuthority(`${addresses.name} Kubernetes`),
    createAuthority(`${addresses.name} etcd`),
    createAuthority(`${addresses.name} front proxy`),
    createSigningKey(),
  ])
  const local = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }
  const [server, kubelet, admin, manager, scheduler, etcdServer, etcdClient, frontProxy] = await Promise.all([
    authority.issue({
      commonName: 'kube-apiserver',
      dnsNames: ['localhost', ...apiServiceNames],
      ipAddresses: ['127.0.0.1', addresses.apiServiceAddress],
    }),
    authority.issue({ commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] }),
    authority.issue({ commonName: 'hansa-admin', organizations: ['system:masters'] }),
    authority.issue({ commonName: 'system:kube-controller-manager', ...local }),
    authority.issue({ commonName: 'system:kube-scheduler', ...local }),
    etcdAuthority.issue({ commonName: 'etcd', ...local }),
    etcdAuthority.issue({ commonName: 'kube-apiserver', ...local }),
    frontProxyAuthority.issue({ commonName: frontProxyName }),
  ])
  const kubeconfig = (name: string, credential: KeyAndCertificate) =>
    writeKubeconfig(file(name), {
      name: addresses.name,
      serverUrl: addresses.serverUrl,
      caPem: authority.certPem,
      credential,
    })
  await Promise.all([
    writePair(file('pki/ca'), authority),
    writePair(file('pki/etcd-ca'), etcdAuthority),
    writePair(file('pki/apiserver'), server),
    writePair(file('pki/kubelet-client'), kubelet),
    writePair(file('pki/controller-manager'), manager),
    writePair(file('pki/scheduler'), scheduler),
    writePair(file('pki/etcd'), etcdServer),
    writePair(file('pki/etcd-client'), etcdClient),
    writePair(file('pki/front-proxy-ca'), frontProxyAuthority),
    writePair(file('pki/front-proxy-client'), frontProxy),
    writeFile(file('pki/sa.key'), signingKey.privatePem, { mode: 0o600 }),
    writeFile(file('pki/sa.pub'), signingKey.publicPem),
    kubeconfig('admin.kubeconfig', admin),
    kubeconfig('controller-manager.kubeconfig', manager),
    kubeconfig('scheduler.kubeconfig', scheduler),
  ])
  return {
    path,
    authority,
    admin,
    etcdClient,
    etcdCaPem: etcdAuthority.certPem,
    frontProxyCaPem: frontProxyAuthority.certPem,
    file,
  }
}

/** Common name of the API server towards aggregated API servers. */
export const frontProxyName = 'front-proxy-client'

const apiServiceNames = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
]

async function writePair(path: string, pair: KeyAndCertificate): Promise<void> {
  await Promise.all([writeFile(`${path}.crt`, pair.certPem), writeFile(`${path}.key`, pair.keyPem, { mode: 0o600 })])
}
