import type { Row } from './row.ts'
import { type Path, spoil } from './spoil.ts'
import { httpsModel, localModel, pvcModel } from './valid.ts'

const digest = 'b'.repeat(64)
const file = (path: string) => ({ path, sha256: digest, sizeBytes: 1 })

/** Models that break rules between fields. */
export function modelRules(): Row[] {
  const change = (path: Path, value: unknown) => spoil(httpsModel('rules'), ['spec', ...path], value)
  const exactlyOne = 'source must have exactly one of https, pvc and local'
  const https = { url: 'https://models.example/v1/' }
  const local = { path: 'a' }
  const pvc = { claimName: 'models' }
  return [
    ['no source', change(['source'], {}), exactlyOne],
    ['two sources', change(['source'], { https, local }), exactlyOne],
    ['three sources', change(['source'], { https, local, pvc }), exactlyOne],
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
