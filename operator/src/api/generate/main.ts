import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { generatedFiles } from './files.ts'

const root = resolve(import.meta.dirname, '../../../..')
// Folders that hold nothing but generated files: what is found there and not generated any more is reported.
const ownFolders = ['crds', 'charts/hansa/files/crds']

const files = generatedFiles((name) => readFileSync(join(root, 'examples', name), 'utf8'))
const check = process.argv.includes('--check')
const problems: string[] = []

for (const [path, text] of files) {
  const found = await readFile(join(root, path), 'utf8').catch(() => undefined)
  if (found === text) continue
  if (check) {
    problems.push(`${path} ${found === undefined ? 'is missing' : 'is not up to date'}`)
    continue
  }
  await mkdir(join(root, dirname(path)), { recursive: true })
  await writeFile(join(root, path), text)
  console.log(`wrote ${path}`)
}
for (const folder of ownFolders) {
  const names = await readdir(join(root, folder)).catch(() => [])
  for (const name of names.filter((entry) => !files.has(`${folder}/${basename(entry)}`))) {
    problems.push(`${folder}/${name} is not generated any more: delete it`)
  }
}
if (problems.length > 0) {
  console.error(`${problems.join('\n')}\nmend with: npm run generate`)
  process.exitCode = 1
}
