/** Which mutant this process has loaded; a plan that is of a mutant runs nowhere else. */
export const loaded: { mutant: string | undefined } = { mutant: undefined };
