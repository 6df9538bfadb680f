/** The path of the nnlayer program. */
export const program: string;
