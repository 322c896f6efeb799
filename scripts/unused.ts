// In the place of packages that the program never calls; see build.ts.
export {};
