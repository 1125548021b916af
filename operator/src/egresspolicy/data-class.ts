import { type DataClass, dataClass, dataClasses, dataClassLabel } from '../api/owner-scalars.ts'

/** The class of a namespace: its label, which only cluster admins may set. Without the label, or with an unknown word: Restricted. */
export function classOfNamespace(labels: Readonly<Record<string, string>> | undefined): DataClass {
  const parsed = dataClass.safeParse(labels?.[dataClassLabel])
  return parsed.success ? parsed.data : 'Restricted'
}

/** Whether `one` is less sensitive than `other`. */
export function isBelow(one: DataClass, other: DataClass): boolean {
  return dataClasses.indexOf(one) < dataClasses.indexOf(other)
}

/** The class of an object: that of its namespace, or a higher one that it gives itself. */
export function raisedClass(ofNamespace: DataClass, own: DataClass | undefined): DataClass {
  return own !== undefined && isBelow(ofNamespace, own) ? own : ofNamespace
}
