import type { Row } from './row.ts'
import { type Path, spoil } from './spoil.ts'
import { httpsModel, hubModel, localModel, type Manifest, ociModel, pvcModel } from './valid.ts'

const digest = 'b'.repeat(64)
const file = (path: string) => ({ path, sha256: digest, sizeBytes: 1 })

/** Values of one text that do not fit its pattern, by what they are. */
function bad(
  base: (name: string) => Manifest,
  member: string,
  field: string,
  values: Readonly<Record<string, string>>,
): Row[] {
  return Object.entries(values).map(([what, value]) => [
    what,
    spoil(base('rules'), ['spec', 'source', member, field], value),
    'should match',
  ])
}

/** Models that break rules between fields. */
export function modelRules(): Row[] {
  const change = (path: Path, value: unknown) => spoil(httpsModel('rules'), ['spec', ...path], value)
  const exactlyOne = 'source must have exactly one of https, oci, huggingFace, pvc, local and peer'
  const https = { url: 'https://models.example/v1/' }
  const local = { path: 'a' }
  const pvc = { claimName: 'models' }
  return [
    ['no source', change(['source'], {}), exactlyOne],
    ['two sources', change(['source'], { https, local }), exactlyOne],
    ['three sources', change(['source'], { https, local, pvc }), exactlyOne],
    ['an artifact and a claim', spoil(ociModel('rules'), ['spec', 'source', 'pvc'], pvc), exactlyOne],
    ['a hub and a folder', spoil(hubModel('rules'), ['spec', 'source', 'local'], local), exactlyOne],
    ...bad(ociModel, 'oci', 'repository', {
      'no repository behind the registry': 'registry.example',
      'a repository with a scheme': 'https://registry.example/models/triage',
      'a repository with a tag': 'registry.example/models/triage:v3',
      'a repository with a digest': `registry.example/models/triage@sha256:${digest}`,
      'a repository that climbs': 'registry.example/models/../secrets',
      'a repository with user information': 'user:password@registry.example/models/triage',
      'a repository with a query': 'registry.example/models/triage?x=1',
      'a repository in capitals': 'registry.example/Models/Triage',
    }),
    ...bad(ociModel, 'oci', 'digest', {
      'a tag for a digest': 'v3',
      'a digest without its algorithm': digest,
      'a digest of another algorithm': `sha512:${digest}`,
      'a manifest digest in capitals': `sha256:${'A'.repeat(64)}`,
    }),
    ...bad(hubModel, 'huggingFace', 'revision', {
      'a branch for a commit': 'main',
      'half a commit': 'c'.repeat(20),
      'a commit in capitals': 'C'.repeat(40),
      'a revision that climbs': '../../secrets',
    }),
    ...bad(hubModel, 'huggingFace', 'repository', {
      'a hub repository that climbs': '../secrets',
      'a hub repository of three parts': 'a/b/c',
      'a hub repository with a revision': 'radiology/triage@main',
      'a hub repository with a query': 'radiology/triage?x=1',
    }),
    ...bad(hubModel, 'huggingFace', 'endpoint', {
      'a hub without https': 'http://hub.example/',
      'a hub without a slash at the end': 'https://hub.example',
      'a hub with user information': 'https://user:password@hub.example/',
      'a hub with a query': 'https://hub.example/?x=1/',
    }),
    [
      'a hub URL that climbs',
      spoil(hubModel('rules'), ['spec', 'source', 'huggingFace', 'endpoint'], 'https://hub.example/a/../'),
      'endpoint must not have the segments',
    ],
    ...[ociModel, hubModel].map((base): Row => {
      const member = base === ociModel ? 'oci' : 'huggingFace'
      return [
        `a Secret of another namespace for ${member}`,
        spoil(base('rules'), ['spec', 'source', member, 'credentialsSecretName'], 'other/secret'),
        'should match',
      ]
    }),
    [
      'no .onnx file',
      spoil(localModel('rules'), ['spec', 'files'], [file('weights.bin')]),
      'files must have one that ends in .onnx when format is ONNX',
    ],
    [
      'two .onnx files without an entrypoint',
      spoil(localModel('rules'), ['spec', 'files'], [file('a.onnx'), file('b.onnx')]),
      'entrypoint must be set when several files end in .onnx',
    ],
    ['an entrypoint that is no file', change(['entrypoint'], 'other.onnx'), 'entrypoint must be the path of one of'],
    [
      'an entrypoint that is no .onnx file',
      spoil(change(['files'], [file('a.onnx'), file('a.bin')]), ['spec', 'entrypoint'], 'a.bin'),
      'entrypoint must be the path of one of the files, end in .onnx',
    ],
    ['an entrypoint outside the folder', change(['entrypoint'], '../model.onnx'), 'entrypoint must be the path of one'],
    ['an entrypoint of a TrainingBundle', change(['format'], 'TrainingBundle'), 'and go with format ONNX'],
    [
      'a file that is the folder of another',
      spoil(localModel('rules'), ['spec', 'files'], [file('a.onnx'), file('a.onnx/b')]),
      'files must not have a path that is the folder of another',
    ],
    ['a digest in capitals', change(['files', 0, 'sha256'], 'A'.repeat(64)), 'should match'],
    ['a digest with its algorithm', change(['files', 0, 'sha256'], `sha256:${'a'.repeat(57)}`), 'should match'],
    ['half a digest', change(['files', 0, 'sha256'], 'a'.repeat(32)), 'should match'],
    [
      'a claim of another namespace',
      spoil(pvcModel('rules'), ['spec', 'source', 'pvc', 'claimName'], 'other/claim'),
      'should match',
    ],
    [
      'a Secret of another namespace',
      change(['source', 'https', 'credentialsSecretName'], 'other/secret'),
      'should match',
    ],
  ]
}
