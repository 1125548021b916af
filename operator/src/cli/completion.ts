import type { Command } from 'commander'

/** A bash script (zsh reads it after bashcompinit) that completes commands and options of `kubectl-hansa`. */
export function completionScript(program: Command): string {
  const cases = [...tree(program, [])].map(
    ([words, next]) => `    "${words.join(' ')}") COMPREPLY=($(compgen -W "${next.join(' ')}" -- "$word")) ;;`,
  )
  return `# source <(kubectl-hansa completion); in zsh first: autoload -U +X bashcompinit && bashcompinit
_kubectl_hansa() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words="" each
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $each == -* ]] || words="\${words:+$words }$each"
  done
  case "$words" in
${cases.join('\n')}
    *) COMPREPLY=() ;;
  esac
}
complete -F _kubectl_hansa kubectl-hansa
`
}

function* tree(command: Command, words: string[]): Generator<[string[], string[]]> {
  const options = command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]))
  yield [words, [...command.commands.map((each) => each.name()), ...options]]
  for (const each of command.commands) yield* tree(each, [...words, each.name()])
}
