import type { Row } from './row.ts'
import { type Path, spoil } from './spoil.ts'
import { externalService, service } from './valid.ts'

/** InferenceServices that break rules between fields. */
export function serviceRules(): Row[] {
  const change = (path: Path, value: unknown) => spoil(service('rules'), ['spec', ...path], value)
  const limits = (limit: Record<string, string>) => change(['resources', 'limits'], limit)
  return [
    [
      'minReplicas above maxReplicas',
      change(['scaling', 'minReplicas'], 5),
      'minReplicas must not be greater than maxReplicas',
    ],
    ['replicas in mode Hansa', change(['replicas'], 2), 'replicas must not be set unless scaling.mode is External'],
    [
      'no replicas in mode External',
      spoil(externalService('rules'), ['spec', 'replicas'], undefined),
      'replicas must be set when scaling.mode is External',
    ],
    ['CUDA without a GPU', limits({ memory: '1Gi' }), 'resources.limits must hold a GPU such as nvidia.com/gpu'],
    [
      'a GPU among the requests',
      change(['resources', 'requests'], { 'nvidia.com/gpu': '1' }),
      'requests must name only cpu, memory and ephemeral-storage',
    ],
    ['half a GPU', limits({ 'nvidia.com/gpu': '0.5' }), 'must be whole numbers from 1 to 9999'],
    ['500 thousandths of a GPU', limits({ 'nvidia.com/gpu': '500m' }), 'must be whole numbers from 1 to 9999'],
    ['no GPUs as a limit', limits({ 'nvidia.com/gpu': '0' }), 'must be whole numbers from 1 to 9999'],
    ['ten thousand GPUs', limits({ 'nvidia.com/gpu': '10000' }), 'must be whole numbers from 1 to 9999'],
    ['a negative limit', limits({ 'nvidia.com/gpu': '1', memory: '-1Gi' }), 'should match'],
    ['a limit in words', limits({ 'nvidia.com/gpu': '1', memory: 'much' }), 'should match'],
    ['a limit with an exponent', limits({ 'nvidia.com/gpu': '1', memory: '1e99' }), 'should match'],
    ['an unknown resource', limits({ 'nvidia.com/gpu': '1', gpus: '1' }), 'limits must name cpu, memory'],
    ['a resource with two slashes', limits({ 'nvidia.com/gpu/x': '1' }), 'limits must name cpu, memory'],
    ['a resource with an empty name', limits({ 'nvidia.com/gpu': '1', '': '1' }), 'limits must name cpu, memory'],
    [
      'a resource with an endless name',
      limits({ 'nvidia.com/gpu': '1', [`a/${'b'.repeat(300)}`]: '1' }),
      'limits must name cpu, memory',
    ],
    [
      'a node label with blanks',
      change(['nodeSelector'], { 'not a label': 'x' }),
      'nodeSelector must have label keys such as kubernetes.io/arch',
    ],
    [
      'a node label with an endless key',
      change(['nodeSelector'], { ['a'.repeat(400)]: 'x' }),
      'nodeSelector must have label keys such as kubernetes.io/arch',
    ],
    [
      'a toleration without a key',
      change(['tolerations'], [{ operator: 'Equal', value: 'x' }]),
      'a toleration must have a key, or the operator Exists',
    ],
    ['an empty toleration', change(['tolerations'], [{}]), 'a toleration must have a key, or the operator Exists'],
    [
      'a toleration that exists with a value',
      change(['tolerations'], [{ key: 'a', operator: 'Exists', value: 'x' }]),
      'a toleration with the operator Exists must have no value',
    ],
    [
      'toleration seconds without NoExecute',
      change(['tolerations'], [{ key: 'a', effect: 'NoSchedule', tolerationSeconds: 1 }]),
      'tolerationSeconds must go with the effect NoExecute',
    ],
    [
      'an issuer that lets nobody in',
      change(['access', 'oidc'], [{ issuerName: 'hospital' }]),
      'an oidc entry must name at least one subject or group',
    ],
    [
      'an issuer with empty lists',
      change(['access', 'oidc'], [{ issuerName: 'hospital', subjects: [], groups: [] }]),
      'an oidc entry must name at least one subject or group',
    ],
    ['a model of another namespace by a slash', change(['modelRef', 'name'], 'other/stored'), 'should match'],
    ['a model of another namespace by dots', change(['modelRef', 'name'], '../other/stored'), 'should match'],
    ['a model name in capitals', change(['modelRef', 'name'], 'Stored'), 'should match'],
    [
      'every service account of a namespace by a star',
      change(['access', 'serviceAccounts'], [{ namespace: 'default', name: '*' }]),
      'should match',
    ],
    [
      'a service account by its full user name',
      change(['access', 'serviceAccounts'], [{ namespace: 'default', name: 'system:serviceaccount:default:x' }]),
      'should match',
    ],
    ['no spec', spoil(service('rules'), ['spec'], undefined), 'spec: Required value'],
    ['null as spec', spoil(service('rules'), ['spec'], null), 'spec'],
    ['null as model', change(['modelRef'], null), 'spec.modelRef'],
    ['a list as spec', spoil(service('rules'), ['spec'], [{}]), 'must be of type object'],
    ['a number far above 64 bits', change(['limits', 'requestBytes'], 1e300), 'spec.limits.requestBytes'],
  ]
}
