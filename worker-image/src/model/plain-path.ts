// The rule of spec.files in operator/src/api/model.ts, without what that file loads: the process that decodes starts often.
const plainPath = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/

/** Whether `path` is relative, of plain names without a leading dot, and at most `longest` characters. */
export function isPlainPath(path: string, longest = 255): boolean {
  return path.length <= longest && plainPath.test(path)
}
