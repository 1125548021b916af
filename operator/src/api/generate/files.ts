import { helpPage } from '../../cli/help-page.ts'
import { group } from '../resource.ts'
import { customResourceDefinitionYaml } from './custom-resource-definition.ts'
import { errorsPage } from './errors-page.ts'
import { kinds } from './kinds.ts'
import { referencePage } from './reference-page.ts'

/** All generated files by their path in the repository. `exampleText` gives the text of a file below `examples/`. */
export function generatedFiles(exampleText: (name: string) => string): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const kind of kinds) {
    const crd = customResourceDefinitionYaml(kind)
    const name = `${group}_${kind.plural}.yaml`
    files.set(`crds/${name}`, crd)
    // Helm can read only files inside the chart.
    files.set(`charts/hansa/files/crds/${name}`, crd)
    files.set(`docs/reference/${kind.kind.toLowerCase()}.md`, referencePage(kind, exampleText(kind.example)))
  }
  files.set('docs/reference/kubectl-hansa.md', helpPage())
  files.set('docs/errors.md', errorsPage(kinds))
  return files
}
