import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The Go module that names every version and holds the multi-call binary's source. */
export const moduleFolder = join(import.meta.dirname, 'kube')

export const versions = { kubernetes: 'v1.36.3', helm: 'v3.21.4' } as const

/** One run of `go build`. */
export interface BuildStep {
  /** Folder of the Go module. */
  readonly module: string
  /** The file that it makes. */
  readonly file: string
  readonly label: string
  readonly package: string
  /** Go linker's -X settings: variable to value. */
  readonly settings: Readonly<Record<string, string>>
  /** Other names of the file; the binary acts as the one it is called as. */
  readonly aliases: readonly string[]
  /** Measured with empty caches on two cores; for progress only. */
  readonly expectedSeconds: number
}

const kubernetesVersion = (pkg: string) => ({
  [`${pkg}.gitVersion`]: versions.kubernetes,
  [`${pkg}.gitMajor`]: '1',
  [`${pkg}.gitMinor`]: '36',
})

const helmTarget = (pkg: string) => ({ [`${pkg}.k8sVersionMajor`]: '1', [`${pkg}.k8sVersionMinor`]: '36' })

export const kubeStep: BuildStep = {
  module: moduleFolder,
  file: 'hansa-kube',
  label: `Kubernetes ${versions.kubernetes}`,
  package: '.',
  settings: {
    ...kubernetesVersion('k8s.io/component-base/version'),
    ...kubernetesVersion('k8s.io/client-go/pkg/version'),
  },
  aliases: ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'],
  expectedSeconds: 430,
}

export const etcdStep: BuildStep = {
  module: moduleFolder,
  file: 'etcd',
  label: 'etcd',
  package: 'go.etcd.io/etcd/server/v3',
  settings: {},
  aliases: [],
  expectedSeconds: 20,
}

export const helmStep: BuildStep = {
  module: moduleFolder,
  file: 'helm',
  label: `Helm ${versions.helm}`,
  package: 'helm.sh/helm/v3/cmd/helm',
  settings: {
    'helm.sh/helm/v3/internal/version.version': versions.helm,
    ...helmTarget('helm.sh/helm/v3/pkg/chartutil'),
    ...helmTarget('helm.sh/helm/v3/pkg/lint/rules'),
  },
  aliases: [],
  expectedSeconds: 30,
}

/** A name that changes with everything that the binaries are made of. */
export function recipeKey(): string {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(moduleFolder, file)))
  hash.update(JSON.stringify([kubeStep, etcdStep, helmStep].map((step) => [step.package, step.settings, step.aliases])))
  return `kube-${versions.kubernetes}-${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 10)}`
}
