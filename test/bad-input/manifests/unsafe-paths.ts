import type { Row } from './row.ts'
import { spoil } from './spoil.ts'
import { httpsModel, localModel, pvcModel } from './valid.ts'

/** Paths that leave their folder, or that some file system reads in another way. */
export function unsafePaths(): Row[] {
  const paths = [
    '../model.onnx',
    '/etc/passwd.onnx',
    'a/../../model.onnx',
    'a//model.onnx',
    './model.onnx',
    '.hidden.onnx',
    'a/.git/model.onnx',
    'a\\..\\model.onnx',
    'model.onnx/',
    'model.onnx\n',
    'model.onnx\u0000',
    'modèle.onnx',
    '~/model.onnx',
    '%2e%2e/model.onnx',
    'C:model.onnx',
    '-model.onnx',
  ]
  const folders = ['..', '../other', '/models', 'a/../b', 'a/', '.', 'a/./b', '$HOME']
  return [
    ...paths.map(
      (path): Row => [
        `file path ${JSON.stringify(path)}`,
        spoil(localModel('paths'), ['spec', 'files', 0, 'path'], path),
        'spec.files[0].path in body should match',
      ],
    ),
    ...folders.map(
      (path): Row => [
        `local folder ${JSON.stringify(path)}`,
        spoil(localModel('paths'), ['spec', 'source', 'local', 'path'], path),
        'spec.source.local.path in body should match',
      ],
    ),
    ...folders.map(
      (path): Row => [
        `claim folder ${JSON.stringify(path)}`,
        spoil(pvcModel('paths'), ['spec', 'source', 'pvc', 'path'], path),
        'spec.source.pvc.path in body should match',
      ],
    ),
  ]
}

/** URLs that are not plain https folders. */
export function unsafeUrls(): Row[] {
  const change = (url: string) => spoil(httpsModel('urls'), ['spec', 'source', 'https', 'url'], url)
  const pattern = [
    'http://models.example/v1/',
    'file:///etc/',
    'ftp://models.example/v1/',
    'HTTPS://models.example/v1/',
    'https://models.example/v1',
    'https://user:password@models.example/v1/',
    'https://models.example/v1/?token=x/',
    'https://models.example/v1/#/',
    'https://models.example\\@other.example/',
    'https://models.example/a b/',
    'https:///v1/',
    'https://models.example:123456/',
    'https://models.example//v1/',
    'https://-models.example/',
    'https://models.example/v1/\n',
    ' https://models.example/v1/',
    'javascript:alert(1)//',
  ]
  const dots = ['https://models.example/a/../b/', 'https://models.example/./b/', 'https://models.example/a/%2e%2E/b/']
  return [
    ...pattern.map(
      (url): Row => [`url ${JSON.stringify(url)}`, change(url), 'spec.source.https.url in body should match'],
    ),
    ...dots.map(
      (url): Row => [`url ${JSON.stringify(url)}`, change(url), 'url must not have the segments "." and ".."'],
    ),
  ]
}
